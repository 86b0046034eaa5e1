//! The lines themselves: bounded, told apart from those that are known, and inserted.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use sea_orm::{DatabaseTransaction, Value};

use super::lookup::{each, known_numbers};
use super::{IngestBatch, NewLog, Origin, RawLine, RejectedLine};
use crate::DbError;
use crate::bounds::{self, cut, fields_text, maybe, micros, owned};
use crate::bulk::Bulk;

const LOGS: Bulk = Bulk {
    table: "logs",
    columns: &[
        "timestamp",
        "decky",
        "service",
        "event_type",
        "attacker_ip",
        "src_port",
        "conn_id",
        "origin",
        "forged",
        "raw_line",
        "fields",
        "msg",
        "trace_id",
        "span_id",
        "host_uuid",
        "source",
        "seq",
    ],
    key: &[],
    replace: &[],
};

const REJECTED: Bulk = Bulk {
    table: "rejected_lines",
    columns: &[
        "host_uuid",
        "source",
        "seq",
        "decky",
        "raw",
        "encoding",
        "error",
        "error_offset",
        "received_at",
    ],
    key: &[],
    replace: &[],
};

/// Where a line came from.
pub(super) type Place<'a> = (&'a str, &'a str, i64);

/// A line, bounded and ready to be stored.
pub(super) struct Line<'a> {
    pub(super) log: &'a NewLog,
    pub(super) place: Place<'a>,
    pub(super) at: i64,
    pub(super) decky: Cow<'a, str>,
    pub(super) service: Cow<'a, str>,
    pub(super) event_type: Cow<'a, str>,
    pub(super) conn_id: Option<Cow<'a, str>>,
    /// The peer's address, when the line makes an attacker.
    pub(super) attacker: Option<IpAddr>,
    ip: String,
    fields: String,
}

impl<'a> Line<'a> {
    pub(super) fn of(log: &'a NewLog) -> Result<Self, DbError> {
        let ip = log.attacker_ip.map(|ip| ip.to_canonical());
        Ok(Self {
            log,
            place: place(&log.host_uuid, &log.source, log.seq)?,
            at: micros(log.timestamp),
            decky: cut(&log.decky, bounds::DECKY),
            service: cut(&log.service, bounds::SERVICE),
            event_type: cut(&log.event_type, bounds::EVENT_TYPE),
            conn_id: log.conn_id.as_deref().map(|id| cut(id, bounds::CONN_ID)),
            attacker: ip.filter(|_| log.origin == Origin::Attacker && !log.forged),
            ip: ip.map_or_else(|| "Unknown".to_owned(), |ip| ip.to_string()),
            fields: fields_text(&log.fields),
        })
    }

    /// The address as text; empty for a line that makes no attacker.
    pub(super) fn ip(&self) -> &str {
        if self.attacker.is_some() { &self.ip } else { "" }
    }

    fn values(&self) -> [Value; 17] {
        let log = self.log;
        [
            self.at.into(),
            self.decky.as_ref().into(),
            self.service.as_ref().into(),
            self.event_type.as_ref().into(),
            self.ip.as_str().into(),
            log.src_port.map(i64::from).into(),
            self.conn_id.as_deref().into(),
            log.origin.as_str().into(),
            log.forged.into(),
            owned(&log.raw_line, bounds::RAW_LINE).into(),
            self.fields.as_str().into(),
            maybe(log.msg.as_deref(), bounds::MSG).into(),
            maybe(log.trace_id.as_deref(), 32).into(),
            maybe(log.span_id.as_deref(), 16).into(),
            self.place.0.into(),
            self.place.1.into(),
            self.place.2.into(),
        ]
    }
}

/// The identity of a line. A cut one could be another line's, so what does not fit is refused, not cut.
fn place<'a>(host: &'a str, source: &'a str, seq: u64) -> Result<Place<'a>, DbError> {
    let fits = |text: &str, max| !text.is_empty() && text.chars().count() <= max && !text.contains('\0');
    match i64::try_from(seq) {
        Ok(seq) if fits(host, bounds::HOST) && fits(source, bounds::SOURCE) => Ok((host, source, seq)),
        _ => Err(DbError::Refused(format!(
            "a line needs a host id of 1 to {} characters, a source of 1 to {} and a position below 2^63; got {host:?}, {source:?}, {seq}",
            bounds::HOST,
            bounds::SOURCE
        ))),
    }
}

/// Readable lines that the database does not have yet, each once, in order.
pub(super) async fn fresh<'l, 'a>(
    tx: &DatabaseTransaction,
    lines: &'l [Line<'a>],
) -> Result<Vec<&'l Line<'a>>, DbError> {
    let mut seen = known(tx, LOGS.table, lines.iter().map(|line| line.place)).await?;
    Ok(lines.iter().filter(|line| seen.insert(line.place)).collect())
}

/// Places out of `places` that `table` has already.
async fn known<'a>(
    tx: &DatabaseTransaction,
    table: &'static str,
    places: impl Iterator<Item = Place<'a>>,
) -> Result<HashSet<Place<'a>>, DbError> {
    let mut sources: HashMap<(&str, &str), Vec<i64>> = HashMap::new();
    for (host, source, seq) in places {
        sources.entry((host, source)).or_default().push(seq);
    }
    let sources: Vec<_> = sources.into_iter().collect();
    let keys: Vec<[Value; 2]> =
        sources.iter().map(|((host, source), _)| [(*source).into(), (*host).into()]).collect();
    let newest: Vec<Option<i64>> = each(tx, ("MAX(seq)", table), ["source", "host_uuid"], &keys).await?;
    let mut known = HashSet::new();
    for (((host, source), mut numbers), newest) in sources.into_iter().zip(newest) {
        // Positions only grow, so nearly always the whole batch lies behind the newest known one.
        numbers.retain(|number| newest.is_some_and(|newest| *number <= newest));
        for number in known_numbers(tx, table, (host, source), &numbers).await? {
            known.insert((host, source, number));
        }
    }
    Ok(known)
}

/// Stores lines that are known to be new.
pub(super) async fn insert(tx: &DatabaseTransaction, lines: &[&Line<'_>]) -> Result<(), DbError> {
    LOGS.write(tx, lines.iter().map(|line| line.values())).await?;
    Ok(())
}

/// Stores unreadable lines; returns how many were new.
pub(super) async fn reject(tx: &DatabaseTransaction, batch: &IngestBatch) -> Result<u64, DbError> {
    if batch.rejected.is_empty() {
        return Ok(0);
    }
    let places = batch
        .rejected
        .iter()
        .map(|line| place(&line.host_uuid, &line.source, line.seq))
        .collect::<Result<Vec<_>, _>>()?;
    let mut seen = known(tx, REJECTED.table, places.iter().copied()).await?;
    let fresh: Vec<_> = batch.rejected.iter().zip(places).filter(|(_, place)| seen.insert(*place)).collect();
    REJECTED.write(tx, fresh.iter().map(|(line, place)| rejected_values(line, *place))).await?;
    Ok(fresh.len() as u64)
}

fn rejected_values(line: &RejectedLine, place: Place<'_>) -> [Value; 9] {
    let (encoding, raw) = match &line.raw {
        RawLine::Text(text) => ("text", text),
        RawLine::Base64(text) => ("base64", text),
    };
    [
        place.0.into(),
        place.1.into(),
        place.2.into(),
        owned(&line.decky, bounds::DECKY).into(),
        owned(raw, bounds::RAW_LINE * 2).into(),
        encoding.into(),
        owned(&line.error, bounds::REJECT_ERROR).into(),
        bounds::signed(line.offset).into(),
        micros(line.received_at).into(),
    ]
}
