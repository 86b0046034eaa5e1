//! Who answers for an address: two ARP requests each, for the whole list at once.
//!
//! Any ARP packet that somebody sends from an asked address counts, not only an answer to us: he has the address.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::BuildHasher,
    io,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use pnet_datalink::{Channel, Config, DataLinkSender, MacAddr, NetworkInterface};
use pnet_packet::{
    Packet,
    arp::{ArpHardwareTypes, ArpOperations, ArpPacket, MutableArpPacket},
    ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket},
};

use super::LanError;

/// Between the two rounds of requests.
const PAUSE: Duration = Duration::from_millis(250);
/// For answers to the second round.
const PATIENCE: Duration = Duration::from_millis(350);
/// How long one read waits, so that the time is kept on a silent LAN.
const STEP: Duration = Duration::from_millis(20);
const ETHERNET: usize = 14;
const ARP: usize = 28;

/// A hardware address.
pub type MacAddress = [u8; 6];

/// Which of `addresses` somebody has, with his hardware address. Answers from `ours` do not count. Takes 0.6 seconds for
/// any number of addresses, or less once all have been answered for.
pub async fn survey(
    interface: &str,
    addresses: &[Ipv4Addr],
    ours: &HashSet<MacAddress, impl BuildHasher>,
) -> Result<BTreeMap<IpAddr, String>, LanError> {
    let (interface, addresses) = (interface.to_owned(), addresses.to_vec());
    let ours: HashSet<MacAddress> = ours.iter().copied().collect();
    let what = "ask the LAN who has which address";
    let asked = tokio::task::spawn_blocking(move || ask(&interface, &addresses, &ours)).await;
    asked.unwrap_or_else(|error| {
        Err(LanError::System { what: what.to_owned(), source: io::Error::other(error) })
    })
}

fn ask(
    name: &str,
    addresses: &[Ipv4Addr],
    ours: &HashSet<MacAddress>,
) -> Result<BTreeMap<IpAddr, String>, LanError> {
    if addresses.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut interfaces = pnet_datalink::interfaces().into_iter();
    let interface =
        interfaces.find(|i| i.name == name).ok_or_else(|| LanError::NoInterface(name.to_owned()))?;
    if !interface.is_up() {
        return Err(LanError::Down(name.to_owned()));
    }
    let failed = |source| LanError::System { what: format!("send ARP requests on {name}"), source };
    let mac = interface.mac.ok_or_else(|| failed(io::Error::other("it has no hardware address")))?;
    let config = Config {
        read_timeout: Some(STEP),
        // Answers come to our own address; the LAN's other traffic is nobody's business here.
        promiscuous: false,
        ..Config::default()
    };
    let Channel::Ethernet(mut sender, mut receiver) =
        pnet_datalink::channel(&interface, config).map_err(failed)?
    else {
        return Err(failed(io::Error::other("it is no Ethernet")));
    };
    let mut open: HashMap<Ipv4Addr, Option<MacAddr>> = addresses.iter().map(|ip| (*ip, None)).collect();
    let start = Instant::now();
    for round in [PAUSE, PAUSE + PATIENCE] {
        for (ip, _) in open.iter().filter(|(_, mac)| mac.is_none()) {
            send(sender.as_mut(), mac, own(&interface, *ip), *ip).map_err(failed)?;
        }
        while start.elapsed() < round && open.values().any(Option::is_none) {
            let frame = match receiver.next() {
                Ok(frame) => frame,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error)),
            };
            let Some((ip, who)) = speaker(frame) else { continue };
            if who != mac
                && !ours.contains(&who.octets())
                && let Some(slot) = open.get_mut(&ip)
            {
                slot.get_or_insert(who);
            }
        }
    }
    let taken = open.into_iter().filter_map(|(ip, mac)| Some((IpAddr::V4(ip), mac?.to_string())));
    Ok(taken.collect())
}

/// The address to ask from: the interface's own on that network, else none, which is the form of a probe (RFC 5227).
fn own(interface: &NetworkInterface, ip: Ipv4Addr) -> Ipv4Addr {
    let mut around = interface.ips.iter().filter(|network| network.contains(ip.into()));
    let Some(network) = around.next() else { return Ipv4Addr::UNSPECIFIED };
    match network.ip() {
        IpAddr::V4(own) => own,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    }
}

fn send(sender: &mut dyn DataLinkSender, mac: MacAddr, from: Ipv4Addr, to: Ipv4Addr) -> io::Result<()> {
    let build = &mut |frame: &mut [u8]| {
        if let Some(mut ethernet) = MutableEthernetPacket::new(frame) {
            ethernet.set_destination(MacAddr::broadcast());
            ethernet.set_source(mac);
            ethernet.set_ethertype(EtherTypes::Arp);
        }
        let Some(mut arp) = frame.get_mut(ETHERNET..).and_then(MutableArpPacket::new) else { return };
        arp.set_hardware_type(ArpHardwareTypes::Ethernet);
        arp.set_protocol_type(EtherTypes::Ipv4);
        arp.set_hw_addr_len(6);
        arp.set_proto_addr_len(4);
        arp.set_operation(ArpOperations::Request);
        arp.set_sender_hw_addr(mac);
        arp.set_sender_proto_addr(from);
        arp.set_target_hw_addr(MacAddr::zero());
        arp.set_target_proto_addr(to);
    };
    sender.build_and_send(1, ETHERNET + ARP, build).unwrap_or(Ok(()))
}

/// Who says that he has which address.
fn speaker(frame: &[u8]) -> Option<(Ipv4Addr, MacAddr)> {
    let ethernet = EthernetPacket::new(frame)?;
    if ethernet.get_ethertype() != EtherTypes::Arp {
        return None;
    }
    let arp = ArpPacket::new(ethernet.payload())?;
    let ip = arp.get_sender_proto_addr();
    (arp.get_protocol_type() == EtherTypes::Ipv4 && !ip.is_unspecified())
        .then(|| (ip, arp.get_sender_hw_addr()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_frame_is_read_or_ignored(frame in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = speaker(&frame);
        }
    }

    #[test]
    fn an_answer_names_its_speaker() {
        let text = "020000000001020000000002080600010800060400020200000000 02c6336407020000000001c6336401";
        let frame = hex::decode(text.replace(' ', "")).unwrap();
        let (ip, mac) = speaker(&frame).unwrap();
        assert_eq!((ip, mac), ("198.51.100.7".parse().unwrap(), MacAddr::new(2, 0, 0, 0, 0, 2)));
    }
}
