//! The host's own link among its deckies: a parent cannot talk to the links on top of it, so the host gets one, too.
//!
//! It has the host's address, and answers for it to deckies alone (`arp_filter`): the LAN must go on seeing one machine
//! with one hardware address. It speaks no IPv6, which would announce it to everybody.

use std::{collections::BTreeSet, fs, net::Ipv4Addr};

use decnet_fleet::plan::{NetworkDriver, NetworkPlan};
use futures_util::TryStreamExt;
use rtnetlink::{
    LinkIpVlan, LinkMacVlan, LinkMessageBuilder, LinkUnspec, RouteMessageBuilder,
    packet_core::DefaultNla,
    packet_route::{
        link::{AfSpecInet, AfSpecUnspec, InfoKind, IpVlanMode, LinkAttribute, LinkMessage, MacVlanMode},
        route::{RouteAddress, RouteAttribute, RouteMessage, RouteScope},
    },
};
use rustix::io::Errno;

use super::{LanError, Link as _, LinkState, Netlink, errno, out_of, supports, system};

/// Longest name of a link.
const MAX_NAME: usize = 15;
/// `IFLA_INET_CONF` and `IPV4_DEVCONF_ARPFILTER`.
const INET_CONF: u16 = 1;
const ARP_FILTER: u16 = 13;

/// The host's link among its deckies.
#[derive(Debug, Clone, Copy)]
pub struct Shim;

impl Shim {
    /// Makes the link of `network`, or brings the one that is there to it: driver, parent, address, and one route per decky
    /// and none else. Nothing changes if all is as it should be. Nothing is done for a network without one.
    pub async fn ensure(network: &NetworkPlan) -> Result<(), LanError> {
        let Some(name) = &network.shim else { return Ok(()) };
        check(name)?;
        let parent_name = network.parent.as_ref().ok_or_else(|| LanError::NoParent(network.name.clone()))?;
        let netlink = Netlink::open()?;
        let parent = netlink.link(parent_name).await?;
        let parent = parent.ok_or_else(|| LanError::NoInterface(parent_name.clone()))?;
        if parent.state() != LinkState::Up {
            return Err(LanError::Down(parent_name.clone()));
        }
        let wanted = match network.driver {
            NetworkDriver::Macvlan => InfoKind::MacVlan,
            NetworkDriver::Ipvlan => InfoKind::IpVlan,
            NetworkDriver::Loopback => return Ok(()),
        };
        let mut there = netlink.link(name).await?;
        if let Some(link) = &there {
            ours(name, link)?;
            if link.kind() != Some(&wanted) || link.parent() != Some(parent.header.index) {
                delete(&netlink, name, link).await?;
                there = None;
            }
        }
        let index = if let Some(link) = there {
            link.header.index
        } else {
            supports(network.driver).await?;
            add(&netlink, name, network.driver, parent.header.index).await?;
            let made = netlink.link(name).await?;
            made.ok_or_else(|| LanError::NoInterface(name.clone()))?.header.index
        };
        quiet(&netlink, name, index).await?;
        address(&netlink, name, index, network.host_address).await?;
        let up = LinkMessageBuilder::<LinkUnspec>::new().index(index).up().build();
        netlink
            .handle
            .link()
            .set(up)
            .execute()
            .await
            .map_err(|e| system(format_args!("bring {name} up"), e))?;
        routes(&netlink, name, index, network).await
    }

    /// Removes the link with its routes. False if there is none.
    pub async fn remove(name: &str) -> Result<bool, LanError> {
        check(name)?;
        let netlink = Netlink::open()?;
        let Some(link) = netlink.link(name).await? else { return Ok(false) };
        ours(name, &link)?;
        delete(&netlink, name, &link).await?;
        Ok(true)
    }
}

fn check(name: &str) -> Result<(), LanError> {
    let fits = (1..=MAX_NAME).contains(&name.len()) && !matches!(name, "." | "..");
    if fits && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b':') {
        Ok(())
    } else {
        Err(LanError::BadName(name.to_owned()))
    }
}

/// A link of that name that could not be ours is left alone.
fn ours(name: &str, link: &LinkMessage) -> Result<(), LanError> {
    match link.kind() {
        Some(InfoKind::MacVlan | InfoKind::IpVlan) => Ok(()),
        kind => {
            let kind = kind.map_or_else(|| "hardware".to_owned(), ToString::to_string);
            Err(LanError::Foreign { name: name.to_owned(), kind })
        }
    }
}

async fn delete(netlink: &Netlink, name: &str, link: &LinkMessage) -> Result<(), LanError> {
    match netlink.handle.link().del(link.header.index).execute().await {
        Err(error) if errno(&error) != Some(Errno::NODEV) => {
            Err(system(format_args!("remove the link {name}"), error))
        }
        _ => Ok(()),
    }
}

async fn add(netlink: &Netlink, name: &str, driver: NetworkDriver, parent: u32) -> Result<(), LanError> {
    let message = match driver {
        NetworkDriver::Ipvlan => LinkIpVlan::new(name, parent, IpVlanMode::L2).build(),
        _ => LinkMacVlan::new(name, parent, MacVlanMode::Bridge).build(),
    };
    let made = netlink.handle.link().add(message).execute().await;
    made.map_err(|error| system(format_args!("make the link {name}"), error))
}

/// Keeps the link from answering and announcing to the LAN.
async fn quiet(netlink: &Netlink, name: &str, index: u32) -> Result<(), LanError> {
    // A list of one setting: its number, and its value as the machine writes it.
    let mut setting = 8_u16.to_ne_bytes().to_vec();
    setting.extend(ARP_FILTER.to_ne_bytes());
    setting.extend(1_u32.to_ne_bytes());
    let inet = AfSpecUnspec::Inet(vec![AfSpecInet::Other(DefaultNla::new(INET_CONF, setting))]);
    let mut message = LinkMessageBuilder::<LinkUnspec>::new().index(index).build();
    message.attributes.push(LinkAttribute::AfSpecUnspec(vec![inet]));
    let set = netlink.handle.link().set(message).execute().await;
    set.map_err(|error| system(format_args!("keep {name} from answering the LAN"), error))?;
    // A host without IPv6 has no such file, and a hardened unit may not write it: the address that then appears is
    // seen by whoever listens for neighbours, nothing more.
    let path = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
    if let Err(error) = fs::write(&path, "1")
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%path, %error, "the host's link among its deckies speaks IPv6");
    }
    Ok(())
}

/// Gives the link that address and no other.
async fn address(
    netlink: &Netlink,
    name: &str,
    index: u32,
    wanted: Option<Ipv4Addr>,
) -> Result<(), LanError> {
    let listed = netlink.handle.address().get().set_link_index_filter(index).execute();
    let listed: Vec<_> = listed.try_collect().await.map_err(|error| system("list the addresses", error))?;
    let have: Vec<(Ipv4Addr, u8)> = netlink.addresses(index).await?;
    if have.iter().all(|have| Some(*have) == wanted.map(|ip| (ip, 32))) && have.len() == wanted.iter().count()
    {
        return Ok(());
    }
    for message in listed.into_iter().filter(|message| message.header.index == index) {
        let removed = netlink.handle.address().del(message).execute().await;
        removed.map_err(|error| system(format_args!("remove an address of {name}"), error))?;
    }
    let Some(ip) = wanted else { return Ok(()) };
    let added = netlink.handle.address().add(index, ip.into(), 32).execute().await;
    added.map_err(|error| system(format_args!("give {name} the address {ip}"), error))
}

/// Makes the link's routes those of the plan.
async fn routes(netlink: &Netlink, name: &str, index: u32, network: &NetworkPlan) -> Result<(), LanError> {
    let wanted: BTreeSet<Ipv4Addr> = network.routes.iter().map(ipnet::Ipv4Net::addr).collect();
    let mut there = BTreeSet::new();
    for route in netlink.routes().await? {
        // Those of the table `local` are the kernel's own.
        let main = route.header.table == rtnetlink::packet_route::route::RouteHeader::RT_TABLE_MAIN;
        if !main || out_of(&route) != Some(index) {
            continue;
        }
        match destination(&route) {
            Some(ip)
                if wanted.contains(&ip) && source(&route) == network.host_address && there.insert(ip) => {}
            _ => {
                let removed = netlink.handle.route().del(route).execute().await;
                removed.map_err(|error| system(format_args!("remove a stale route of {name}"), error))?;
            }
        }
    }
    for ip in wanted.difference(&there) {
        let mut route = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(*ip, 32)
            .output_interface(index)
            .scope(RouteScope::Link);
        if let Some(host) = network.host_address {
            route = route.pref_source(host);
        }
        // Replaces one that another link had: an address has one way.
        let added = netlink.handle.route().add(route.build()).replace().execute().await;
        added.map_err(|error| system(format_args!("route {ip} over {name}"), error))?;
    }
    Ok(())
}

/// The single address that a route leads to.
fn destination(route: &RouteMessage) -> Option<Ipv4Addr> {
    let address = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(ip)) => Some(*ip),
        _ => None,
    });
    address.filter(|_| route.header.destination_prefix_length == 32)
}

fn source(route: &RouteMessage) -> Option<Ipv4Addr> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::PrefSource(RouteAddress::Inet(ip)) => Some(*ip),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_link_can_have_are_refused() {
        check("decnet-1a2b3c4d").unwrap();
        for wrong in ["", "decnet-1a2b3c4d5", "a/b", "a b", ".", "..", "x:1", "é"] {
            assert!(matches!(check(wrong), Err(LanError::BadName(_))), "{wrong}");
        }
    }
}
