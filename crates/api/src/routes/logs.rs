//! Captured lines: pages with the search language and a cursor, and the histogram. Secrets are masked for viewers.

use std::sync::Arc;

use axum::{Json, extract::State};
use chrono::{DateTime, TimeDelta, Utc};
use decnet_db::{Bucket, LogQuery, LogRow, Origin, Search};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::page::{MAX_LIMIT, check_paging, paging};
use crate::{
    app::App,
    auth::ViewerUser,
    extract::{Check, Params},
    mask::{MASK, captured_secret, mask_fields, mask_line},
    problem::{Failure, FieldError, Outcome},
};

/// Rows that may be skipped; beyond, the cursor is faster and exact.
const MAX_SKIPPED: u64 = 10_000;

/// Who caused a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineOrigin {
    /// Someone from outside.
    Attacker,
    /// Our own invented life.
    Life,
    /// The decoy itself.
    System,
}

impl From<Origin> for LineOrigin {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Attacker => Self::Attacker,
            Origin::Life => Self::Life,
            Origin::System => Self::System,
        }
    }
}

impl From<LineOrigin> for Origin {
    fn from(origin: LineOrigin) -> Self {
        match origin {
            LineOrigin::Attacker => Self::Attacker,
            LineOrigin::Life => Self::Life,
            LineOrigin::System => Self::System,
        }
    }
}

/// A captured line.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LogLine {
    /// Row number; grows with every line stored. The cursor of `before`.
    pub id: i64,
    /// When the decoy wrote it.
    pub timestamp: DateTime<Utc>,
    /// Decky.
    pub decky: String,
    /// Service.
    pub service: String,
    /// Kind of event.
    pub event_type: String,
    /// Peer address, or `Unknown`.
    pub attacker_ip: String,
    /// Peer port.
    pub src_port: Option<u16>,
    /// Connection id.
    pub conn_id: Option<String>,
    /// Who caused it.
    pub origin: LineOrigin,
    /// The line claims a name that is not its decky's.
    pub forged: bool,
    /// The line as it was.
    pub raw_line: String,
    /// Its fields.
    #[schema(value_type = Object)]
    pub fields: Value,
    /// Its free text.
    pub msg: Option<String>,
    /// Trace id.
    pub trace_id: Option<String>,
    /// Span id.
    pub span_id: Option<String>,
    /// Host of the decky.
    pub host_uuid: String,
}

impl From<LogRow> for LogLine {
    fn from(row: LogRow) -> Self {
        // A damaged column reads as text; the shape of an object is kept.
        let fields = match row.fields {
            Value::Object(map) => Value::Object(map),
            other => serde_json::json!({ "value": other }),
        };
        Self {
            id: row.id,
            timestamp: row.timestamp,
            decky: row.decky,
            service: row.service,
            event_type: row.event_type,
            attacker_ip: row.attacker_ip,
            src_port: row.src_port,
            conn_id: row.conn_id,
            origin: row.origin.into(),
            forged: row.forged,
            raw_line: row.raw_line,
            fields,
            msg: row.msg,
            trace_id: row.trace_id,
            span_id: row.span_id,
            host_uuid: row.host_uuid,
        }
    }
}

impl LogLine {
    /// The row without the secrets in it.
    pub fn masked(row: LogRow) -> Self {
        let mut line = Self::from(row);
        if captured_secret(&line.fields) {
            line.msg = line.msg.map(|_| MASK.to_owned());
        }
        mask_fields(&mut line.fields);
        if let std::borrow::Cow::Owned(masked) = mask_line(&line.raw_line) {
            line.raw_line = masked;
        }
        line
    }
}

/// Which lines.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogParams {
    /// Rows of the page (50).
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
    /// Rows to skip; beyond 10 000 use `before`.
    #[param(minimum = 0, maximum = 10000)]
    offset: Option<u64>,
    /// Cursor: only rows with a smaller id, the last one of the page before. Exact while rows arrive.
    #[param(minimum = 0)]
    before: Option<i64>,
    /// Terms that must all match: `decky:web-01 service:ssh event:auth attacker:198.51.100.7 key:value word "two words"`.
    #[param(max_length = 512)]
    search: Option<String>,
    /// At or after this time.
    start_time: Option<DateTime<Utc>>,
    /// Before this time.
    end_time: Option<DateTime<Utc>>,
    /// Only lines of this origin.
    origin: Option<LineOrigin>,
}

impl Check for LogParams {
    fn check(&self, errors: &mut Vec<FieldError>) {
        check_paging(self.limit, MAX_LIMIT, None, errors);
        if self.offset.is_some_and(|offset| offset > MAX_SKIPPED) {
            errors.push(FieldError::new("offset", "skip at most 10000 rows; use before=<last id> beyond"));
        }
        if self.before.is_some_and(|before| before < 0) {
            errors.push(FieldError::new("before", "give the id of a row"));
        }
        check_search(self.search.as_deref(), errors);
    }
}

fn check_search(search: Option<&str>, errors: &mut Vec<FieldError>) {
    if let Some(Err(error)) = search.map(Search::parse) {
        errors.push(FieldError::new("search", error.to_string()));
    }
}

fn parsed(search: Option<&str>) -> Result<Search, Failure> {
    // Checked before; a failure here would be ours.
    search.map_or_else(|| Ok(Search::default()), |text| Search::parse(text).map_err(Failure::internal))
}

/// A page of lines.
#[derive(Debug, Serialize, ToSchema)]
pub struct LogPage {
    /// Rows that match in all, counted up to 10 000.
    pub total: u64,
    /// There are more than `total` says.
    pub total_capped: bool,
    /// Rows asked for.
    pub limit: u64,
    /// Rows skipped.
    pub offset: u64,
    /// For `before` of the next page; absent on the last one.
    pub next_before: Option<i64>,
    /// The rows.
    pub data: Vec<LogLine>,
}

/// Captured lines, newest first.
#[utoipa::path(
    get, path = "/logs", tag = "logs", params(LogParams),
    responses((status = 200, description = "A page of lines", body = LogPage))
)]
pub async fn list_logs(
    ViewerUser(caller): ViewerUser,
    State(app): State<App>,
    Params(params): Params<LogParams>,
) -> Outcome<Json<LogPage>> {
    let query = LogQuery {
        search: parsed(params.search.as_deref())?,
        start_time: params.start_time,
        end_time: params.end_time,
        origin: params.origin.map(Origin::from),
        before_id: params.before,
        paging: paging(params.limit, params.offset),
    };
    let page = app.db().await?.logs().page(&query).await?;
    let full = u64::try_from(page.data.len())? >= page.limit;
    let next_before = page.data.last().map(|row| row.id).filter(|_| full);
    let shown = if caller.is_admin() { LogLine::from } else { LogLine::masked };
    Ok(Json(LogPage {
        total: page.total,
        total_capped: page.total_capped,
        limit: page.limit,
        offset: page.offset,
        next_before,
        data: page.data.into_iter().map(shown).collect(),
    }))
}

/// Lines within one interval.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HistogramBucket {
    /// Start of the interval, a multiple of its length since 1970.
    pub time: DateTime<Utc>,
    /// Lines in it.
    pub count: u64,
}

impl From<Bucket> for HistogramBucket {
    fn from(bucket: Bucket) -> Self {
        Self { time: bucket.time, count: bucket.count }
    }
}

/// Which lines to count.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HistogramParams {
    /// As of `GET /logs`.
    #[param(max_length = 512)]
    search: Option<String>,
    /// At or after this time (24 hours ago).
    start_time: Option<DateTime<Utc>>,
    /// Before this time.
    end_time: Option<DateTime<Utc>>,
    /// Length of an interval (15).
    #[param(minimum = 1, maximum = 525_600)]
    interval_minutes: Option<i64>,
}

impl Check for HistogramParams {
    fn check(&self, errors: &mut Vec<FieldError>) {
        check_search(self.search.as_deref(), errors);
        if self.interval_minutes.is_some_and(|minutes| !(1..=525_600).contains(&minutes)) {
            errors.push(FieldError::new("interval_minutes", "give a number from 1 to 525600"));
        }
    }
}

/// Lines per interval, oldest first; intervals without lines are left out, and at most the newest 2000 are given.
#[utoipa::path(
    get, path = "/logs/histogram", tag = "logs", params(HistogramParams),
    responses((status = 200, description = "Lines per interval", body = Vec<HistogramBucket>))
)]
pub async fn histogram(
    _: ViewerUser,
    State(app): State<App>,
    Params(params): Params<HistogramParams>,
) -> Outcome<Json<Vec<HistogramBucket>>> {
    let filtered = params.search.is_some() || params.start_time.is_some() || params.end_time.is_some();
    if !filtered && matches!(params.interval_minutes, None | Some(15)) {
        let buckets = app.caches().histogram.get((), recent_histogram(&app)).await?;
        return Ok(Json(buckets.as_ref().clone()));
    }
    let interval = TimeDelta::minutes(params.interval_minutes.unwrap_or(15));
    let query = LogQuery {
        search: parsed(params.search.as_deref())?,
        start_time: params.start_time.or(Some(app.clock().now() - TimeDelta::days(1))),
        end_time: params.end_time,
        ..LogQuery::default()
    };
    let buckets = app.db().await?.logs().histogram(&query, interval).await?;
    Ok(Json(buckets.into_iter().map(HistogramBucket::from).collect()))
}

/// The last day per 15 minutes.
pub(crate) async fn recent_histogram(app: &App) -> Result<Arc<Vec<HistogramBucket>>, Failure> {
    let start_time = Some(app.clock().now() - TimeDelta::days(1));
    let query = LogQuery { start_time, ..LogQuery::default() };
    let buckets = app.db().await?.logs().histogram(&query, TimeDelta::minutes(15)).await?;
    Ok(Arc::new(buckets.into_iter().map(HistogramBucket::from).collect()))
}
