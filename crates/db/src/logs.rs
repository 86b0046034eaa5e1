//! Captured lines, for reading: pages, the live tail, the histogram, and the lines that could not be read. Writing
//! them is `ingest`.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
};
use serde::Serialize;
use serde_json::Value;

use crate::bounds::{count, json_or_text, micros, port, time};
use crate::entity::log::{Column, Entity, Model};
use crate::entity::rejected_line;
use crate::page::{Page, Paging, capped_count};
use crate::search::conditions;
use crate::{Db, DbError, Origin, RawLine, Search};

/// Which lines are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Terms that must match.
    pub search: Search,
    /// At or after this time.
    pub start_time: Option<DateTime<Utc>>,
    /// Before this time.
    pub end_time: Option<DateTime<Utc>>,
    /// Only lines of this origin (our own life is not an intruder).
    pub origin: Option<Origin>,
    /// Cursor: only lines with a smaller id than this, the last one of the page before. Beats `offset` on large tables.
    pub before_id: Option<i64>,
    /// Which part.
    pub paging: Paging,
}

/// A captured line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogRow {
    /// Row number; grows with every line stored.
    pub id: i64,
    /// When the decoy wrote it.
    pub timestamp: DateTime<Utc>,
    /// Decky name.
    pub decky: String,
    /// Service slug.
    pub service: String,
    /// Event type.
    pub event_type: String,
    /// Peer address, or `Unknown`.
    pub attacker_ip: String,
    /// Peer port.
    pub src_port: Option<u16>,
    /// Connection id.
    pub conn_id: Option<String>,
    /// Who caused it.
    pub origin: Origin,
    /// The line claims a name that is not its decky's.
    pub forged: bool,
    /// The line as it was.
    pub raw_line: String,
    /// Its fields.
    pub fields: Value,
    /// Its free text.
    pub msg: Option<String>,
    /// Trace id.
    pub trace_id: Option<String>,
    /// Span id.
    pub span_id: Option<String>,
    /// Host of the decky.
    pub host_uuid: String,
    /// File or stream it came from.
    pub source: String,
    /// Position in it.
    pub seq: u64,
}

/// Lines within one interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Start of the interval, a multiple of its length since 1970.
    pub time: DateTime<Utc>,
    /// Lines in it.
    pub count: u64,
}

/// A line that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RejectedRow {
    /// Row number.
    pub id: i64,
    /// Host it came from.
    pub host_uuid: String,
    /// File or stream.
    pub source: String,
    /// Position in it.
    pub seq: u64,
    /// Decky of `source`.
    pub decky: String,
    /// The line.
    #[serde(flatten)]
    pub raw: RawLine,
    /// Why it could not be read.
    pub error: String,
    /// Where in the line.
    pub offset: u64,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
}

/// The log repository.
#[derive(Debug, Clone, Copy)]
pub struct Logs<'a>(pub(crate) &'a Db);

/// Most intervals a histogram gives; the newest win.
const MAX_BUCKETS: u64 = 2000;

impl Logs<'_> {
    fn select(self, query: &LogQuery) -> SelectStatement {
        Entity::find()
            .filter(conditions(&query.search, self.0.backend()))
            .apply_if(query.start_time, |select, at| select.filter(Column::Timestamp.gte(micros(at))))
            .apply_if(query.end_time, |select, at| select.filter(Column::Timestamp.lt(micros(at))))
            .apply_if(query.origin, |select, origin| select.filter(Column::Origin.eq(origin.as_str())))
            .into_query()
    }

    /// A page, newest first.
    pub async fn page(&self, query: &LogQuery) -> Result<Page<LogRow>, DbError> {
        let select = self.select(query);
        let mut rows = select.clone();
        if let Some(id) = query.before_id {
            rows.and_where(Expr::col(Column::Id).lt(id));
        }
        rows.order_by(Column::Id, Order::Desc).limit(query.paging.limit()).offset(query.paging.offset);
        let data = self.rows(&rows).await?;
        Ok(Page::new(query.paging, capped_count(self.0.reader(), select).await?, data))
    }

    /// Lines with a larger id than `id`, oldest first: the live tail.
    pub async fn after_id(&self, id: i64, search: &Search, limit: u64) -> Result<Vec<LogRow>, DbError> {
        let mut rows = self.select(&LogQuery { search: search.clone(), ..LogQuery::default() });
        rows.and_where(Expr::col(Column::Id).gt(id))
            .order_by(Column::Id, Order::Asc)
            .limit(limit.clamp(1, 1000));
        self.rows(&rows).await
    }

    /// The largest id, 0 for an empty table: where a live tail starts.
    pub async fn last_id(&self) -> Result<i64, DbError> {
        let last: Option<Option<i64>> = Entity::find()
            .select_only()
            .column_as(Column::Id.max(), "last")
            .into_tuple()
            .one(self.0.reader())
            .await?;
        Ok(last.flatten().unwrap_or(0))
    }

    /// How many lines match, counted up to 10 000; the flag says that there are more.
    pub async fn count(&self, query: &LogQuery) -> Result<(u64, bool), DbError> {
        capped_count(self.0.reader(), self.select(query)).await
    }

    /// One line.
    pub async fn get(&self, id: i64) -> Result<Option<LogRow>, DbError> {
        Entity::find_by_id(id).one(self.0.reader()).await?.map(LogRow::try_from).transpose()
    }

    /// Lines of one attacker with one event type, newest first (captured files, transcripts, mail).
    pub async fn of_attacker(
        &self,
        attacker_ip: &str,
        event_type: &str,
        limit: u64,
    ) -> Result<Vec<LogRow>, DbError> {
        let rows = Entity::find()
            .filter(Column::AttackerIp.eq(attacker_ip))
            .filter(Column::EventType.eq(event_type))
            .filter(Column::Origin.eq(Origin::Attacker.as_str()))
            .filter(Column::Forged.eq(false))
            .order_by_desc(Column::Id)
            .limit(limit.clamp(1, 1000))
            .all(self.0.reader())
            .await?;
        rows.into_iter().map(LogRow::try_from).collect()
    }

    /// Lines per interval, oldest interval first; intervals without lines are left out.
    pub async fn histogram(&self, query: &LogQuery, interval: TimeDelta) -> Result<Vec<Bucket>, DbError> {
        let width = std::cmp::max(interval.num_microseconds().unwrap_or(i64::MAX), 1_000_000);
        let at = || Expr::col(Column::Timestamp);
        let start = at().sub(at().modulo(width));
        let mut select = self.select(query);
        select
            .clear_selects()
            .expr_as(start, "bucket")
            .expr_as(Expr::col(Column::Id).count(), "n")
            .group_by_col("bucket")
            .order_by("bucket", Order::Desc)
            .limit(MAX_BUCKETS);
        let rows = self.0.reader().query_all(&select).await?;
        let mut buckets = Vec::with_capacity(rows.len());
        for row in rows.iter().rev() {
            let start: i64 = row.try_get("", "bucket")?;
            let lines: i64 = row.try_get("", "n")?;
            buckets.push(Bucket { time: time(start), count: count(lines) });
        }
        Ok(buckets)
    }

    /// Lines that could not be read, newest first.
    pub async fn rejected(&self, paging: Paging) -> Result<Page<RejectedRow>, DbError> {
        let select = rejected_line::Entity::find();
        let total = capped_count(self.0.reader(), select.clone().into_query()).await?;
        let rows = select
            .order_by_desc(rejected_line::Column::Id)
            .limit(paging.limit())
            .offset(paging.offset)
            .all(self.0.reader())
            .await?;
        Ok(Page::new(paging, total, rows.into_iter().map(RejectedRow::from).collect()))
    }

    /// Deletes lines older than `before`, at most `limit` of them; returns how many. Call it until it returns 0.
    pub async fn prune(&self, before: DateTime<Utc>, limit: u64) -> Result<u64, DbError> {
        let ids: &Vec<i64> = &Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::Timestamp.lt(micros(before)))
            .order_by_asc(Column::Timestamp)
            .limit(limit.clamp(1, 10_000))
            .into_tuple()
            .all(self.0.reader())
            .await?;
        self.0
            .write(|tx| async move {
                let mut gone = 0;
                for ids in ids.chunks(500) {
                    let filter = Column::Id.is_in(ids.iter().copied());
                    gone += Entity::delete_many().filter(filter).exec(&*tx).await?.rows_affected;
                }
                Ok(gone)
            })
            .await
    }

    async fn rows(&self, select: &SelectStatement) -> Result<Vec<LogRow>, DbError> {
        let rows = self.0.reader().query_all(select).await?;
        rows.iter().map(|row| LogRow::try_from(Model::from_query_result(row, "")?)).collect()
    }
}

/// Lines in the whole table, exactly.
pub(crate) async fn total(db: &Db) -> Result<u64, DbError> {
    let select = Query::select().expr(Expr::col(Column::Id).count()).from(Entity).to_owned();
    let row = db.reader().query_one(&select).await?;
    Ok(match row {
        Some(row) => count(row.try_get_by_index::<i64>(0)?),
        None => 0,
    })
}

impl TryFrom<Model> for LogRow {
    type Error = DbError;

    fn try_from(row: Model) -> Result<Self, DbError> {
        Ok(Self {
            id: row.id,
            timestamp: time(row.timestamp),
            decky: row.decky,
            service: row.service,
            event_type: row.event_type,
            attacker_ip: row.attacker_ip,
            src_port: port(row.src_port),
            conn_id: row.conn_id,
            origin: row.origin.parse().map_err(|what| DbError::Damaged { table: "logs", what })?,
            forged: row.forged,
            raw_line: row.raw_line,
            fields: json_or_text(row.fields),
            msg: row.msg,
            trace_id: row.trace_id,
            span_id: row.span_id,
            host_uuid: row.host_uuid,
            source: row.source,
            seq: count(row.seq),
        })
    }
}

impl From<rejected_line::Model> for RejectedRow {
    fn from(row: rejected_line::Model) -> Self {
        Self {
            id: row.id,
            host_uuid: row.host_uuid,
            source: row.source,
            seq: count(row.seq),
            decky: row.decky,
            raw: if row.encoding == "text" { RawLine::Text(row.raw) } else { RawLine::Base64(row.raw) },
            error: row.error,
            offset: count(row.error_offset),
            received_at: time(row.received_at),
        }
    }
}
