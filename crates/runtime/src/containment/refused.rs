//! What a logged packet was: read from the first bytes of its headers, which the sender chose. Total and bounded.

use std::net::IpAddr;

use pnet_packet::{
    ip::{IpNextHeaderProtocol, IpNextHeaderProtocols},
    ipv4::Ipv4Packet,
    ipv6::Ipv6Packet,
    tcp::TcpPacket,
    udp::UdpPacket,
};

/// Extension headers looked past in an IPv6 packet.
const MAX_EXTENSIONS: usize = 8;

/// Where an attempt went.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Target {
    pub(super) proto: Proto,
    pub(super) dst: IpAddr,
    /// Of TCP and UDP.
    pub(super) port: Option<u16>,
    /// Of ICMP, also of version 6.
    pub(super) icmp_type: Option<u8>,
}

/// One refused packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) target: Target,
    /// The sender's address and port, which tell its socket.
    pub(super) src: IpAddr,
    pub(super) src_port: Option<u16>,
}

/// A protocol, by its usual name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Proto {
    Tcp,
    Udp,
    Icmp,
    Icmpv6,
    Other(u8),
}

impl Proto {
    fn of(number: IpNextHeaderProtocol) -> Self {
        match number {
            IpNextHeaderProtocols::Tcp => Self::Tcp,
            IpNextHeaderProtocols::Udp => Self::Udp,
            IpNextHeaderProtocols::Icmp => Self::Icmp,
            IpNextHeaderProtocols::Icmpv6 => Self::Icmpv6,
            other => Self::Other(other.0),
        }
    }
}

impl std::fmt::Display for Proto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp => f.write_str("tcp"),
            Self::Udp => f.write_str("udp"),
            Self::Icmp => f.write_str("icmp"),
            Self::Icmpv6 => f.write_str("icmpv6"),
            Self::Other(number) => write!(f, "{number}"),
        }
    }
}

impl Attempt {
    /// Reads a packet from its IP header on; `None` if it is none.
    pub(super) fn of(packet: &[u8]) -> Option<Self> {
        match packet.first()? >> 4 {
            4 => {
                let ip = Ipv4Packet::new(packet)?;
                let header = usize::from(ip.get_header_length()) * 4;
                // Only a first fragment has ports.
                let payload = if ip.get_fragment_offset() == 0 { packet.get(header..) } else { None };
                let proto = ip.get_next_level_protocol();
                Some(Self::with(ip.get_source().into(), ip.get_destination().into(), proto, payload))
            }
            6 => {
                let ip = Ipv6Packet::new(packet)?;
                let (proto, payload) = past_extensions(ip.get_next_header(), packet.get(40..)?);
                Some(Self::with(ip.get_source().into(), ip.get_destination().into(), proto, payload))
            }
            _ => None,
        }
    }

    fn with(src: IpAddr, dst: IpAddr, proto: IpNextHeaderProtocol, payload: Option<&[u8]>) -> Self {
        let proto = Proto::of(proto);
        let payload = payload.unwrap_or_default();
        let ports = match proto {
            Proto::Tcp => TcpPacket::new(payload).map(|tcp| (tcp.get_source(), tcp.get_destination())),
            Proto::Udp => UdpPacket::new(payload).map(|udp| (udp.get_source(), udp.get_destination())),
            _ => None,
        };
        let icmp_type = match proto {
            Proto::Icmp | Proto::Icmpv6 => payload.first().copied(),
            _ => None,
        };
        let target = Target { proto, dst, port: ports.map(|(_, port)| port), icmp_type };
        Self { target, src, src_port: ports.map(|(port, _)| port) }
    }
}

/// The transport header of an IPv6 packet.
fn past_extensions(
    mut proto: IpNextHeaderProtocol,
    mut rest: &[u8],
) -> (IpNextHeaderProtocol, Option<&[u8]>) {
    for _ in 0..MAX_EXTENSIONS {
        let length = match proto {
            IpNextHeaderProtocols::Hopopt
            | IpNextHeaderProtocols::Ipv6Route
            | IpNextHeaderProtocols::Ipv6Opts => {
                rest.get(1).map_or(usize::MAX, |words| (usize::from(*words) + 1) * 8)
            }
            IpNextHeaderProtocols::Ipv6Frag => 8,
            _ => return (proto, Some(rest)),
        };
        let (Some(next), Some(after)) = (rest.first(), rest.get(length..)) else { return (proto, None) };
        (proto, rest) = (IpNextHeaderProtocol::new(*next), after);
    }
    (proto, None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        hex::decode(text.replace(' ', "")).unwrap()
    }

    #[test]
    fn packets_of_every_kind_name_their_target() {
        // 198.51.100.1:47214 > 203.0.113.1:80, SYN.
        let tcp =
            hex("4500003c a0cd4000 40060000 c6336401 cb007101 b86e0050 00000001 00000000 5002ffff 00000000");
        let attempt = Attempt::of(&tcp).unwrap();
        let target = attempt.target;
        assert_eq!(
            (target.proto, target.dst, target.port),
            (Proto::Tcp, "203.0.113.1".parse().unwrap(), Some(80))
        );
        assert_eq!((attempt.src, attempt.src_port), ("198.51.100.1".parse().unwrap(), Some(47214)));
        let ping = hex("45000054 00004000 40010000 c6336401 cb007101 0800 1234 0001 0001");
        let target = Attempt::of(&ping).unwrap().target;
        assert_eq!((target.proto, target.port, target.icmp_type), (Proto::Icmp, None, Some(8)));
        // A hop-by-hop header before UDP.
        let udp6 = hex(
            "60000000 0018 00 40 20010db8000000000000000000000001 20010db8000000000000000000000002 1100000000000000 1f400035 00100000 0000000000000000",
        );
        let attempt = Attempt::of(&udp6).unwrap();
        assert_eq!((attempt.target.proto, attempt.target.port), (Proto::Udp, Some(53)));
        assert_eq!(attempt.src_port, Some(8000));
        // A later fragment has no ports.
        let fragment = hex("4500001c 00000010 40110000 c6336401 cb007101 b86e0050 00000001");
        assert_eq!(Attempt::of(&fragment).unwrap().target.port, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..160), version in 0_u8..8) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() {
                *first = (version << 4) | (*first & 0xf);
            }
            if let Some(attempt) = Attempt::of(&bytes) {
                prop_assert_eq!(attempt.target.port.is_some(), attempt.src_port.is_some());
            }
        }
    }
}
