//! What is asked of a contained namespace often: its counter, and its fleet addresses. Over a socket kept from the
//! installation, which costs microseconds where starting `nft` costs ten milliseconds.

use std::{collections::BTreeSet, io, net::Ipv4Addr, ops::RangeInclusive, time::Duration};

use netlink_packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NlasIterator,
};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
    nftables::{
        DataAttribute, ListAttribute, NfTablesMessage, SetElementAttribute, SetElementList, SetElementMessage,
    },
    none::ControlMessage,
};
use netlink_sys::{Socket, constants::NETLINK_NETFILTER};

use super::rules;

const NLMSG_ERROR: u16 = 2;
const NFTA_OBJ_TABLE: u16 = 1;
const NFTA_OBJ_NAME: u16 = 2;
const NFTA_OBJ_TYPE: u16 = 3;
const NFTA_OBJ_DATA: u16 = 4;
const NFT_OBJECT_COUNTER: u32 = 1;
const NFTA_COUNTER_PACKETS: u16 = 2;
/// `res_id` of a batch: the subsystem that it is for.
const NFNL_SUBSYS_NFTABLES: u16 = 10;
/// The kernel answers at once; a lost answer must not hang whoever asked.
const PATIENCE: Duration = Duration::from_secs(5);
const ANSWER: usize = 16 * 1024;
/// Addresses in one message: the length of an attribute has sixteen bits.
const MOST_AT_ONCE: usize = 1000;

/// A socket in a contained namespace.
#[derive(Debug)]
pub(super) struct Control {
    socket: Socket,
    sequence: u32,
}

impl Control {
    /// Opened in the namespace of this thread.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        let timeout = Some(PATIENCE);
        rustix::net::sockopt::set_socket_timeout(&socket, rustix::net::sockopt::Timeout::Recv, timeout)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Packets refused since the namespace was first contained.
    pub(super) fn refused(&mut self) -> io::Result<u64> {
        let message = NfTablesMessage::GetObject(vec![
            text(NFTA_OBJ_TABLE, rules::TABLE),
            text(NFTA_OBJ_NAME, rules::COUNTER),
            DefaultNla::new(NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER.to_be_bytes().to_vec()),
        ]);
        let sequence = self.next();
        let request = frame(message.into(), NetfilterProtoFamily::Inet, 0, NLM_F_REQUEST, sequence);
        self.socket.send(&request, 0)?;
        self.answer(sequence..=sequence, counted)?.ok_or_else(|| io::Error::other("the counter was not told"))
    }

    /// Replaces the fleet's addresses, in one transaction.
    pub(super) fn set_fleet(&mut self, addresses: &BTreeSet<Ipv4Addr>) -> io::Result<()> {
        let inet = NetfilterProtoFamily::Inet;
        let unspec = NetfilterProtoFamily::Unspec;
        let addresses: Vec<Ipv4Addr> = addresses.iter().copied().collect();
        let first = self.next();
        let begin = ControlMessage::BatchBegin.into();
        let mut batch = frame(begin, unspec, NFNL_SUBSYS_NFTABLES, NLM_F_REQUEST, first);
        let flush = NfTablesMessage::DeleteSetElement(elements(&[]));
        let mut last = self.next();
        batch.extend(frame(flush.into(), inet, 0, NLM_F_REQUEST | NLM_F_ACK, last));
        for some in addresses.chunks(MOST_AT_ONCE) {
            last = self.next();
            let add = NfTablesMessage::NewSetElement(elements(some));
            let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND;
            batch.extend(frame(add.into(), inet, 0, flags, last));
        }
        let end = ControlMessage::BatchEnd.into();
        batch.extend(frame(end, unspec, NFNL_SUBSYS_NFTABLES, NLM_F_REQUEST, self.next()));
        self.socket.send(&batch, 0)?;
        self.answer(first..=last, |_| Some(())).map(|_| ())
    }

    fn next(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// Reads until the answer to the last of these messages: what `found` makes of its payload, nothing for a plain
    /// acknowledgement. An error of any of them counts, as they belong to one transaction.
    fn answer<T>(
        &self,
        to: RangeInclusive<u32>,
        found: impl Fn(&[u8]) -> Option<T>,
    ) -> io::Result<Option<T>> {
        loop {
            let mut buffer = Vec::with_capacity(ANSWER);
            self.socket.recv(&mut buffer, 0)?;
            let mut rest = buffer.as_slice();
            while let Ok(message) = NetlinkBuffer::new_checked(rest) {
                let (number, payload) = (message.sequence_number(), message.payload());
                if message.message_type() == NLMSG_ERROR {
                    let code = payload.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
                    // Answers to a question that somebody gave up on do not count.
                    if code != 0 && to.contains(&number) {
                        return Err(io::Error::from_raw_os_error(-code));
                    }
                    if number == *to.end() {
                        return Ok(None);
                    }
                } else if number == *to.end() {
                    return Ok(found(payload));
                }
                match rest.get((message.length() as usize).next_multiple_of(4)..) {
                    Some(next) if message.length() > 0 => rest = next,
                    _ => break,
                }
            }
        }
    }
}

/// The packets in the description of a counter.
fn counted(payload: &[u8]) -> Option<u64> {
    let value = |payload: &[u8], kind: u16| {
        let mut attributes = NlasIterator::new(payload).filter_map(Result::ok);
        attributes.find(|attribute| attribute.kind() == kind).map(|attribute| attribute.value().to_vec())
    };
    // Four bytes of netfilter's own header come first.
    let data = value(payload.get(4..)?, NFTA_OBJ_DATA)?;
    let packets = value(&data, NFTA_COUNTER_PACKETS)?;
    packets.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// These elements of the fleet's set; none stands for all that are there.
fn elements(addresses: &[Ipv4Addr]) -> SetElementMessage {
    let mut attributes =
        vec![SetElementList::Table(rules::TABLE.to_owned()), SetElementList::Set(rules::FLEET.to_owned())];
    if !addresses.is_empty() {
        let element = |address: &Ipv4Addr| {
            let key = DataAttribute::Value(address.octets().to_vec());
            ListAttribute::Element(vec![SetElementAttribute::Key(key)])
        };
        attributes.push(SetElementList::Elements(addresses.iter().map(element).collect()));
    }
    SetElementMessage { attributes }
}

fn text(kind: u16, text: &str) -> DefaultNla {
    let mut value = text.as_bytes().to_vec();
    value.push(0);
    DefaultNla::new(kind, value)
}

fn frame(
    inner: NetfilterMessageInner,
    family: NetfilterProtoFamily,
    res_id: u16,
    flags: u16,
    sequence: u32,
) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    header.sequence_number = sequence;
    let payload = NetfilterMessage::new(NetfilterHeader::new(family, 0, res_id), inner);
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(payload));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}
