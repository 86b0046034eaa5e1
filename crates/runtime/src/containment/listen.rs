//! Hears of refused packets (NFLOG) and writes a line of each target: at once for the first, with a count for the rest.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use decnet_core::{Clock, DeckyName};
use decnet_logline::{Event, Severity};
use netlink_packet_core::{NetlinkBuffer, NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::{
    NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
    nflog::{ConfigCmd, ConfigMode, ConfigNla, CopyMode, PacketNla, Timeout, ULogMessage, config_request},
};
use netlink_sys::{AsyncSocket, AsyncSocketExt, Socket, TokioSocket, constants::NETLINK_NETFILTER};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::{
    Lines,
    culprit::Culprits,
    refused::Attempt,
    rules::{LOG_GROUPS, SNAPLEN},
    tally::{Tally, Told},
};
use crate::capture::session::Culprit;

/// Room for what the kernel delivers at once.
const DELIVERY: usize = 32 * 1024;
/// How long the kernel gathers packets before it delivers them.
const GATHERED: Duration = Duration::from_millis(50);

/// A socket that hears of refused packets, opened in the namespace of this thread, for the runtime that it has entered; and
/// the group that they must be told to.
pub(super) fn open() -> io::Result<(TokioSocket, u16)> {
    let mut waited = TokioSocket::new(NETLINK_NETFILTER)?;
    let socket = waited.socket_mut();
    socket.bind_auto()?;
    let mut refused = io::Error::from(io::ErrorKind::AddrInUse);
    for group in LOG_GROUPS {
        match join(socket, group) {
            Ok(()) => return Ok((waited, group)),
            // Somebody else listens to that one.
            Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::PERM | Errno::BUSY)) => {
                refused = error;
            }
            Err(error) => return Err(error),
        }
    }
    Err(refused)
}

fn join(socket: &Socket, group: u16) -> io::Result<()> {
    let mode = ConfigMode::new(SNAPLEN, CopyMode::Packet);
    let wishes: Vec<ConfigNla> = vec![ConfigCmd::Bind.into(), mode.into(), Timeout::from(GATHERED).into()];
    let request = config_request(NetfilterProtoFamily::Unspec, group, wishes);
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    // The kernel answers before it returns.
    let mut answer = Vec::with_capacity(4096);
    socket.recv(&mut answer, 0)?;
    let message = NetlinkMessage::<NetfilterMessage>::deserialize(&answer).map_err(io::Error::other)?;
    match message.payload {
        NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
        _ => Ok(()),
    }
}

/// Writes the lines of one namespace.
pub(super) struct Listener {
    pub(super) decky: DeckyName,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lines: Lines,
    pub(super) culprits: Arc<Mutex<Culprits>>,
}

impl Listener {
    /// Listens until it is told to stop, and then tells what it gathered.
    pub(super) async fn run(self, socket: TokioSocket, stop: CancellationToken) {
        let mut tally = Tally::default();
        let mut delivery = Vec::with_capacity(DELIVERY);
        loop {
            delivery.clear();
            let next = tally.next().map(tokio::time::Instant::from_std);
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                heard = socket.recv(&mut delivery) => match heard {
                    Ok(()) => {}
                    // Some were lost; the counter has them.
                    Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => continue,
                    Err(error) => {
                        tracing::warn!(decky = %self.decky, %error, "refused packets are no longer heard of; they are still refused and counted");
                        return;
                    }
                },
                () = due => {}
                () = stop.cancelled() => {
                    let repeats = tally.finish();
                    if !repeats.is_empty() {
                        self.tell(Vec::new(), repeats).await;
                    }
                    return;
                }
            }
            let now = Instant::now();
            let first: Vec<Attempt> =
                attempts(&delivery).filter(|attempt| tally.count(&attempt.target, now)).collect();
            let repeats = tally.due(now);
            if !first.is_empty() || !repeats.is_empty() {
                self.tell(first, repeats).await;
            }
        }
    }

    /// Writes lines where blocking is allowed.
    async fn tell(&self, first: Vec<Attempt>, repeats: Vec<Told>) {
        let (decky, clock, lines) = (self.decky.clone(), Arc::clone(&self.clock), Arc::clone(&self.lines));
        let culprits = Arc::clone(&self.culprits);
        let written = tokio::task::spawn_blocking(move || {
            let mut culprits = culprits.lock().unwrap_or_else(PoisonError::into_inner);
            for attempt in first {
                let culprit = culprits.of_attempt(&attempt);
                let told = Told { target: Some(attempt.target), count: 1 };
                lines(event(&told, &culprit).into_record(clock.now(), decky.as_str()));
            }
            for told in repeats {
                let culprit = culprits.only();
                lines(event(&told, &culprit).into_record(clock.now(), decky.as_str()));
            }
        });
        if let Err(error) = written.await {
            tracing::error!(decky = %self.decky, %error, "a line about refused packets was not written");
        }
    }
}

/// The packets in a delivery.
fn attempts(delivery: &[u8]) -> impl Iterator<Item = Attempt> {
    let mut rest = delivery;
    std::iter::from_fn(move || {
        let message = NetlinkBuffer::new_checked(rest).ok()?;
        let length = message.length() as usize;
        let one = rest.get(..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(NetlinkMessage::<NetfilterMessage>::deserialize(one))
    })
    .filter_map(|message| match message.ok()?.payload {
        NetlinkPayload::InnerMessage(NetfilterMessage {
            inner: NetfilterMessageInner::ULog(ULogMessage::Packet(attributes)),
            ..
        }) => attributes.into_iter().find_map(|attribute| match attribute {
            PacketNla::Payload(packet) => Attempt::of(&packet),
            _ => None,
        }),
        _ => None,
    })
}

fn event(told: &Told, culprit: &Culprit) -> Event {
    let service = culprit.session.as_ref().map_or("ssh", |session| session.service());
    let event = Event::new(service, "egress_blocked").severity(Severity::Warning);
    let event = match &told.target {
        Some(target) => event
            .field("dst", target.dst)
            .opt("port", target.port)
            .field("proto", target.proto)
            .opt("icmp_type", target.icmp_type),
        None => event.field("targets", "others"),
    };
    let event = event.field("count", told.count);
    let event = match &culprit.session {
        Some(session) => session.describe(event),
        None => event,
    };
    event.field("attribution", culprit.attribution.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::session::Attribution;

    #[test]
    fn garbage_from_the_kernel_holds_no_packet() {
        assert_eq!(attempts(b"").count(), 0);
        assert_eq!(attempts(&[0; 64]).count(), 0);
        assert_eq!(attempts(&[0xff; 64]).count(), 0);
    }

    #[test]
    fn a_line_without_a_culprit_names_no_address() {
        let culprit = Culprit { session: None, attribution: Attribution::Unknown };
        let event = event(&Told { target: None, count: 7 }, &culprit);
        assert_eq!(event.fields().get("src_ip"), None);
        assert_eq!(event.fields().get("count"), Some("7"));
        assert_eq!(event.fields().get("attribution"), Some("unknown"));
    }
}
