//! What listens on this host, from the kernel's own tables: no connection is made, so no decoy logs a visitor.

use std::{
    collections::HashSet,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use decnet_fleet::catalogue::Proto;

/// Where each transport listens.
#[derive(Debug, Default)]
pub(super) struct Listening(HashSet<(Proto, SocketAddr)>);

impl Listening {
    /// As it is now. A missing table (a kernel without IPv6) is an empty one; no table at all is an error.
    pub(super) fn now() -> io::Result<Self> {
        let mut found = HashSet::new();
        for (table, proto, state) in [
            ("/proc/net/tcp", Proto::Tcp, "0A"),
            ("/proc/net/tcp6", Proto::Tcp, "0A"),
            ("/proc/net/udp", Proto::Udp, "07"),
            ("/proc/net/udp6", Proto::Udp, "07"),
        ] {
            match std::fs::read_to_string(table) {
                Ok(text) => found.extend(
                    text.lines().skip(1).filter_map(|line| read(line, state)).map(|addr| (proto, addr)),
                ),
                Err(error) if error.kind() == io::ErrorKind::NotFound && table != "/proc/net/tcp" => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self(found))
    }

    pub(super) fn has(&self, proto: Proto, addr: SocketAddr) -> bool {
        self.0.contains(&(proto, addr))
    }
}

/// The local address of a row in this state.
fn read(line: &str, state: &str) -> Option<SocketAddr> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (ip, port) = fields.next()?.split_once(':')?;
    if fields.nth(1)? != state {
        return None;
    }
    // Words of 32 bits, each in the byte order of this machine.
    let words: Option<Vec<[u8; 4]>> = (0..ip.len() / 8)
        .map(|index| u32::from_str_radix(ip.get(index * 8..index * 8 + 8)?, 16).ok().map(u32::to_ne_bytes))
        .collect();
    let ip = match words?.as_slice() {
        [word] => IpAddr::from(Ipv4Addr::from(*word)),
        [a, b, c, d] => {
            let mut bytes = [0; 16];
            for (to, from) in bytes.chunks_exact_mut(4).zip([a, b, c, d]) {
                to.copy_from_slice(from);
            }
            IpAddr::from(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn sees_what_listens_and_nothing_else() {
        let tcp = TcpListener::bind("127.9.8.7:0").unwrap().local_addr().unwrap();
        assert!(!Listening::now().unwrap().has(Proto::Tcp, tcp), "it was closed");
        let (tcp, udp) = (TcpListener::bind(tcp).unwrap(), UdpSocket::bind("127.9.8.7:0").unwrap());
        let now = Listening::now().unwrap();
        assert!(now.has(Proto::Tcp, tcp.local_addr().unwrap()));
        assert!(now.has(Proto::Udp, udp.local_addr().unwrap()));
        assert!(!now.has(Proto::Udp, tcp.local_addr().unwrap()));
        if let Ok(six) = TcpListener::bind("[::1]:0") {
            assert!(Listening::now().unwrap().has(Proto::Tcp, six.local_addr().unwrap()));
        }
    }
}
