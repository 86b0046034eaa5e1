//! Takes the engine's resolver out of a decky's network: it listens at 127.0.0.11 in the namespace of every container on a
//! network of the engine, `ss -ltu` shows it, and everybody knows whose that address is.
//!
//! Done from the host with the kernel's `SOCK_DESTROY`, as `ss -K` does. The containment refuses questions to it anyway.

use std::{fs::File, io};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};
use nix::sched::{CloneFlags, setns};

/// Where it listens.
const ADDRESS: [u8; 4] = [127, 0, 0, 11];
const TCP: u8 = 6;
const UDP: u8 = 17;
/// `TCP_LISTEN` among the states; UDP has none.
const LISTENING: u32 = 1 << 10;
const ANY: u32 = u32::MAX;
// linux/sock_diag.h and linux/netlink.h.
const BY_FAMILY: u16 = 20;
const DESTROY: u16 = 21;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const AF_INET: u8 = 2;
/// Bytes of a message's header, and of what names a socket in it (behind four others).
const HEADER: usize = 16;
const NAME: std::ops::Range<usize> = HEADER + 4..HEADER + 52;
/// Most answers that are read; there are a few sockets.
const MOST: usize = 64;
/// Largest answer.
const ANSWER: usize = 64 * 1024;

/// The kernel answers at once; a lost answer must not hold up whoever brings a decky up.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// Closes its sockets in the network namespace of process `pid`; how many there were. Blocks.
pub(super) fn remove(pid: u32) -> io::Result<usize> {
    let namespace = File::open(format!("/proc/{pid}/ns/net"))?;
    // A thread of its own: what it enters it never leaves.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("resolver".to_owned()).spawn_scoped(scope, || {
            setns(&namespace, CloneFlags::CLONE_NEWNET)?;
            remove_here()
        })?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
    })
}

fn remove_here() -> io::Result<usize> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    rustix::net::sockopt::set_socket_timeout(&socket, rustix::net::sockopt::Timeout::Recv, Some(PATIENCE))?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut removed = 0;
    for (protocol, states) in [(TCP, LISTENING), (UDP, ANY)] {
        socket.send(&request(BY_FAMILY, REQUEST | DUMP, protocol, states, &[0; 48]), 0)?;
        for name in names(&socket)? {
            socket.send(&request(DESTROY, REQUEST | ACK, protocol, ANY, &name), 0)?;
            // The acknowledgement; a kernel without the call says so in it.
            names(&socket)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
fn request(kind: u16, flags: u16, protocol: u8, states: u32, name: &[u8; 48]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(72);
    bytes.extend(72u32.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([AF_INET, protocol, 0, 0]);
    bytes.extend(states.to_ne_bytes());
    bytes.extend(name);
    bytes
}

/// The names of the resolver's sockets in the answers to one request.
fn names(socket: &Socket) -> io::Result<Vec<[u8; 48]>> {
    let mut found = Vec::new();
    for _ in 0..MOST {
        let mut answer = Vec::with_capacity(ANSWER);
        socket.recv(&mut answer, 0)?;
        if read(&answer, &mut found)? {
            break;
        }
    }
    Ok(found)
}

/// Reads the messages of one answer; true after the last one.
fn read(mut answer: &[u8], found: &mut Vec<[u8; 48]>) -> io::Result<bool> {
    while let (Some(length), Some(kind)) = (number(answer, 0), answer.get(4..6)) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(message) = answer.get(..length).filter(|message| message.len() >= HEADER) else { break };
        match u16::from_ne_bytes([kind[0], kind[1]]) {
            DONE => return Ok(true),
            ERROR => {
                let code = number(message, HEADER).unwrap_or(0).cast_signed();
                return if code == 0 { Ok(true) } else { Err(io::Error::from_raw_os_error(-code)) };
            }
            _ => {}
        }
        if let Some(name) = message.get(NAME).and_then(|name| <[u8; 48]>::try_from(name).ok())
            && name.get(4..8) == Some(&ADDRESS)
        {
            found.push(name);
        }
        answer = answer.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn only_the_resolvers_sockets_go() {
        let outcome = std::thread::spawn(|| {
            if let Err(error) = nix::sched::unshare(CloneFlags::CLONE_NEWNET) {
                println!("skipped: no network namespace may be made here ({error})");
                return;
            }
            let up = std::process::Command::new("ip").args(["link", "set", "lo", "up"]).status();
            if !up.is_ok_and(|status| status.success()) {
                println!("skipped: `ip link set lo up` does not work here");
                return;
            }
            let theirs = TcpListener::bind("127.0.0.1:4000").unwrap();
            let tcp = TcpListener::bind("127.0.0.11:4001").unwrap();
            // As the engine does: a port that was asked for by number would stay in the table.
            let udp = UdpSocket::bind("127.0.0.11:0").unwrap();
            match remove_here() {
                Ok(removed) => assert_eq!(removed, 2),
                Err(error) => {
                    println!("skipped: this kernel destroys no sockets ({error})");
                    return;
                }
            }
            // Nothing answers there, though its owner has not let go; the others are left alone.
            TcpStream::connect("127.0.0.11:4001").unwrap_err();
            TcpStream::connect("127.0.0.1:4000").unwrap();
            assert_eq!(remove_here().unwrap(), 0);
            drop((theirs, tcp, udp));
        });
        outcome.join().unwrap();
    }
}
