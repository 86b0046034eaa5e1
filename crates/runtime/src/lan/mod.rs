//! The LAN that deckies are put on: what it is, the host's own link among them, and who else is there.
//!
//! ```text
//! lan::detect().await                                  // Option<HostNetwork>: the default route's
//! lan::link_state("eth0").await?                       // Missing, Down, Up
//! lan::supports(NetworkDriver::Ipvlan).await?          // an error says what the kernel lacks
//! Shim::ensure(&network).await?                        // host-side link and one route per decky; again at will
//! Shim::remove("decnet-1a2b3c4d").await?               // false if there was none
//! lan::survey("eth0", &addresses, &our_macs).await?         // who answers for which address
//! ```
//!
//! All of it acts in the network namespace of the thread that first runs it, and needs root to change anything. Addresses
//! are handed out elsewhere; the engine's networks are the engine's.

mod shim;
mod survey;

use std::{io, net::Ipv4Addr};

use decnet_fleet::{HostNetwork, plan::NetworkDriver};
use futures_util::TryStreamExt;
use ipnet::Ipv4Net;
use rtnetlink::{
    Handle, LinkMessageBuilder, LinkUnspec, RouteMessageBuilder,
    packet_route::{
        address::AddressAttribute,
        link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, State},
        route::{RouteAddress, RouteAttribute, RouteMessage, RouteType},
    },
};
use rustix::io::Errno;

pub use shim::Shim;
pub use survey::{MacAddress, survey};

/// Why something about the LAN failed.
#[derive(Debug, thiserror::Error)]
pub enum LanError {
    /// The parent is not there.
    #[error(
        "there is no interface {0}: `ip -brief link` lists those of this host; name one with --interface, or interface= in [general]"
    )]
    NoInterface(String),
    /// The parent is down.
    #[error("interface {0} is down: bring it up with `ip link set {0} up`, or name another with --interface")]
    Down(String),
    /// A plan that names no parent.
    #[error(
        "the network {0} names no interface to put deckies on: name one with --interface, or interface= in [general]"
    )]
    NoParent(String),
    /// A name that no link can have.
    #[error("{0:?} cannot be the name of a link: 1 to 15 characters without `/` and blanks")]
    BadName(String),
    /// The name is somebody else's.
    #[error(
        "there is a link {name} of kind {kind} on this host, which is not ours: remove it with `ip link delete {name}`"
    )]
    Foreign {
        /// Its name.
        name: String,
        /// What it is.
        kind: String,
    },
    /// The kernel has no such links.
    #[error(
        "this kernel has no {0} links: load the module `{0}`, use a kernel that has it, or choose the other driver (--ipvlan, or without)"
    )]
    Unsupported(&'static str),
    /// The system refused.
    #[error("cannot {what} ({source}): the agent needs root with CAP_NET_ADMIN and CAP_NET_RAW")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

/// How a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// There is none of that name.
    Missing,
    /// It is there, but carries nothing.
    Down,
    /// It works.
    Up,
}

/// The network of the default route; of several the one with the lowest metric. `None` if there is none, or it has no IPv4
/// address.
pub async fn detect() -> Option<HostNetwork> {
    let netlink = Netlink::open().ok()?;
    let (index, gateway) = netlink.default_route().await.ok()??;
    let interface = netlink.link_of(|message| message.link_index_is(index)).await.ok()??.name()?;
    let (address, prefix) = *netlink.addresses(index).await.ok()?.first()?;
    let subnet = Ipv4Net::new(address, prefix).ok()?.trunc();
    Some(HostNetwork { interface, subnet, gateway, address: Some(address) })
}

/// How the link of that name is.
pub async fn link_state(name: &str) -> Result<LinkState, LanError> {
    let link = Netlink::open()?.link(name).await?;
    Ok(link.map_or(LinkState::Missing, |link| link.state()))
}

/// Whether the kernel has links of that driver; loads their module where there is one.
pub async fn supports(driver: NetworkDriver) -> Result<(), LanError> {
    let (kind, name) = match driver {
        NetworkDriver::Macvlan => (InfoKind::MacVlan, "macvlan"),
        NetworkDriver::Ipvlan => (InfoKind::IpVlan, "ipvlan"),
        NetworkDriver::Loopback => return Ok(()),
    };
    // A link without a parent cannot be made: the answer tells whether the kernel knew what was meant.
    let mut message = LinkMessageBuilder::<LinkUnspec>::new().name("decnet-probe".to_owned()).build();
    message.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)]));
    match Netlink::open()?.handle.link().add(message).execute().await {
        Err(error) if errno(&error) == Some(Errno::OPNOTSUPP) => Err(LanError::Unsupported(name)),
        Err(error) if errno(&error) == Some(Errno::PERM) => {
            Err(system(format_args!("ask the kernel for {name} links"), error))
        }
        _ => Ok(()),
    }
}

/// A connection to the kernel's routing, for as long as it is held.
struct Netlink {
    handle: Handle,
    connection: tokio::task::JoinHandle<()>,
}

impl Netlink {
    fn open() -> Result<Self, LanError> {
        let (connection, handle, _) = rtnetlink::new_connection()
            .map_err(|source| LanError::System { what: "open a routing socket".to_owned(), source })?;
        Ok(Self { handle, connection: tokio::spawn(connection) })
    }

    /// The link of that name.
    async fn link(&self, name: &str) -> Result<Option<LinkMessage>, LanError> {
        let mut links = self.handle.link().get().match_name(name.to_owned()).execute();
        match links.try_next().await {
            Ok(link) => Ok(link),
            Err(error) if matches!(errno(&error), Some(Errno::NODEV | Errno::INVAL | Errno::RANGE)) => {
                Ok(None)
            }
            Err(error) => Err(system(format_args!("look for the link {name}"), error)),
        }
    }

    /// The first link that fits.
    async fn link_of(&self, fits: impl Fn(&LinkMessage) -> bool) -> Result<Option<LinkMessage>, LanError> {
        let mut links = self.handle.link().get().execute();
        loop {
            match links.try_next().await {
                Ok(Some(link)) if fits(&link) => return Ok(Some(link)),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(error) => return Err(system("list the links", error)),
            }
        }
    }

    /// The IPv4 addresses of a link, in order, with the lengths of their prefixes.
    async fn addresses(&self, index: u32) -> Result<Vec<(Ipv4Addr, u8)>, LanError> {
        let listed = self.handle.address().get().set_link_index_filter(index).execute();
        let listed: Vec<_> =
            listed.try_collect().await.map_err(|error| system("list the addresses", error))?;
        let of = |message: &rtnetlink::packet_route::address::AddressMessage| {
            // Of a point-to-point link, `Local` is its own and `Address` its peer's.
            let mut found = None;
            for attribute in &message.attributes {
                match attribute {
                    AddressAttribute::Local(std::net::IpAddr::V4(ip)) => {
                        return Some((*ip, message.header.prefix_len));
                    }
                    AddressAttribute::Address(std::net::IpAddr::V4(ip)) => {
                        found = Some((*ip, message.header.prefix_len));
                    }
                    _ => {}
                }
            }
            found
        };
        Ok(listed.iter().filter(|message| message.header.index == index).filter_map(of).collect())
    }

    /// The IPv4 routes.
    async fn routes(&self) -> Result<Vec<RouteMessage>, LanError> {
        let all = RouteMessageBuilder::<Ipv4Addr>::new().build();
        let listed = self.handle.route().get(all).execute();
        listed.try_collect().await.map_err(|error| system("list the routes", error))
    }

    /// Link and gateway of the default route.
    async fn default_route(&self) -> Result<Option<(u32, Option<Ipv4Addr>)>, LanError> {
        let mut best: Option<(u32, u32, Option<Ipv4Addr>)> = None;
        for route in self.routes().await? {
            let main = route.header.table == rtnetlink::packet_route::route::RouteHeader::RT_TABLE_MAIN;
            if !main || route.header.destination_prefix_length != 0 || route.header.kind != RouteType::Unicast
            {
                continue;
            }
            let Some(index) = out_of(&route) else { continue };
            let metric = route.attributes.iter().find_map(|attribute| match attribute {
                RouteAttribute::Priority(metric) => Some(*metric),
                _ => None,
            });
            let metric = metric.unwrap_or(0);
            let gateway = route.attributes.iter().find_map(|attribute| match attribute {
                RouteAttribute::Gateway(RouteAddress::Inet(ip)) => Some(*ip),
                _ => None,
            });
            if best.is_none_or(|(least, ..)| metric < least) {
                best = Some((metric, index, gateway));
            }
        }
        Ok(best.map(|(_, index, gateway)| (index, gateway)))
    }
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// What is asked of a link's description.
trait Link {
    fn link_index_is(&self, index: u32) -> bool;
    fn name(&self) -> Option<String>;
    fn state(&self) -> LinkState;
    fn kind(&self) -> Option<&InfoKind>;
    fn parent(&self) -> Option<u32>;
}

impl Link for LinkMessage {
    fn link_index_is(&self, index: u32) -> bool {
        self.header.index == index
    }

    fn name(&self) -> Option<String> {
        self.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name.clone()),
            _ => None,
        })
    }

    fn state(&self) -> LinkState {
        let oper = self.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::OperState(state) => Some(*state),
            _ => None,
        });
        let running = match oper {
            // Drivers that do not tell work as long as they are switched on.
            Some(State::Up | State::Unknown) | None => true,
            Some(_) => self.header.flags.contains(LinkFlags::LowerUp),
        };
        if self.header.flags.contains(LinkFlags::Up) && running { LinkState::Up } else { LinkState::Down }
    }

    fn kind(&self) -> Option<&InfoKind> {
        let infos = self.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::LinkInfo(infos) => Some(infos),
            _ => None,
        })?;
        infos.iter().find_map(|info| match info {
            LinkInfo::Kind(kind) => Some(kind),
            _ => None,
        })
    }

    fn parent(&self) -> Option<u32> {
        self.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::Link(index) => Some(*index),
            _ => None,
        })
    }
}

/// The link that a route leaves by.
fn out_of(route: &RouteMessage) -> Option<u32> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })
}

fn errno(error: &rtnetlink::Error) -> Option<Errno> {
    match error {
        rtnetlink::Error::NetlinkError(message) => {
            message.code.map(|code| Errno::from_raw_os_error(-code.get()))
        }
        _ => None,
    }
}

fn system(what: impl std::fmt::Display, error: rtnetlink::Error) -> LanError {
    let source = match errno(&error) {
        Some(errno) => errno.into(),
        None => io::Error::other(error),
    };
    LanError::System { what: what.to_string(), source }
}
