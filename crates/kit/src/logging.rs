//! Operational log lines on standard error, as text or JSON, each with the worker's name, and a meter of recent errors.
//!
//! Captured bytes do not belong here; as a second line of defence control characters never reach the terminal. No files: journald rotates.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{self, Format, JsonFields, Writer},
    },
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

use crate::settings::{LogFilter, LogFormat};

/// How far back `errors_5m` looks.
const WINDOW: Duration = Duration::from_mins(5);
/// Beyond this many errors in the window the exact number says nothing more.
const MOST_ERRORS: usize = 10_000;
/// Libraries that tell each statement or packet at INFO; the operator's own filter comes after and wins.
const QUIET: &str = "async_nats=warn,sqlx=warn,sea_orm=warn,sea_orm_migration=warn,hyper=warn";

/// Counts ERROR lines of the last five minutes.
#[derive(Debug, Clone, Default)]
pub struct ErrorMeter(Arc<Mutex<VecDeque<Instant>>>);

impl ErrorMeter {
    /// The number of errors in the window.
    pub fn recent(&self) -> u64 {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while seen.front().is_some_and(|at| at.elapsed() > WINDOW) {
            seen.pop_front();
        }
        seen.len() as u64
    }

    fn count(&self) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST_ERRORS {
            seen.pop_front();
        }
        seen.push_back(Instant::now());
    }
}

impl<S: Subscriber> Layer<S> for ErrorMeter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == Level::ERROR {
            self.count();
        }
    }
}

/// Starts logging for this process. A second call in one process changes nothing and returns a meter of its own.
pub fn init(worker: &'static str, filter: &LogFilter, shape: LogFormat) -> ErrorMeter {
    let meter = ErrorMeter::default();
    let _ = tracing::subscriber::set_global_default(subscriber(
        worker,
        filter,
        shape,
        std::io::stderr,
        meter.clone(),
    ));
    meter
}

/// The subscriber behind [`init`], with the writer as a parameter.
pub fn subscriber<W>(
    worker: &'static str,
    filter: &LogFilter,
    shape: LogFormat,
    writer: W,
    meter: ErrorMeter,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::new(format!("{QUIET},{}", filter.as_str()));
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    let registry = tracing_subscriber::registry();
    match shape {
        LogFormat::Text => {
            let lines = Named { worker, shape, inner: format::format().with_ansi(false) };
            Box::new(registry.with(layer.event_format(lines).with_filter(filter)).with(meter))
        }
        LogFormat::Json => {
            let lines = Named { worker, shape, inner: format::format().json().flatten_event(true) };
            let layer = layer.fmt_fields(JsonFields::new()).event_format(lines);
            Box::new(registry.with(layer.with_filter(filter)).with(meter))
        }
    }
}

/// Puts the worker's name into each line of the inner format.
struct Named<F> {
    worker: &'static str,
    shape: LogFormat,
    inner: Format<F>,
}

impl<S, N, F> FormatEvent<S, N> for Named<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    Format<F>: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.inner.format_event(ctx, Writer::new(&mut line), event)?;
        let line = line.trim_end_matches('\n');
        match self.shape {
            LogFormat::Json => {
                let rest = line.strip_prefix('{').unwrap_or(line);
                writeln!(out, "{{\"worker\":\"{}\",{rest}", self.worker)
            }
            LogFormat::Text => {
                write!(out, "{} ", self.worker)?;
                for c in line.chars() {
                    // One event is one line, whatever a message carries.
                    if c.is_control() { write!(out, "\\u{:04X}", u32::from(c))? } else { out.write_char(c)? }
                }
                out.write_char('\n')
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::settings::SettingValue;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn lines(shape: LogFormat, meter: &ErrorMeter) -> Vec<String> {
        let sink = Sink::default();
        let writer = sink.clone();
        let filter = LogFilter::read("info").unwrap();
        let log = subscriber("collector", &filter, shape, move || writer.clone(), meter.clone());
        tracing::subscriber::with_default(log, || {
            let _pass = tracing::info_span!("pass", number = 3).entered();
            tracing::info!(rows = 7, "wrote\n\u{1b}[31mrows");
            tracing::debug!("not this");
            tracing::error!(error = "disk \"full\"", "cannot write");
        });
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn json_lines_carry_the_worker_and_parse() {
        let lines = lines(LogFormat::Json, &ErrorMeter::default());
        assert_eq!(lines.len(), 2, "{lines:?}");
        let first: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(first["worker"], "collector");
        assert_eq!(first["rows"], 7);
        assert_eq!(first["span"]["number"], 3);
        let second: serde_json::Value = serde_json::from_str(&lines[1]).unwrap();
        assert_eq!((&second["level"], &second["error"]), (&"ERROR".into(), &"disk \"full\"".into()));
    }

    #[test]
    fn text_lines_carry_the_worker_and_no_control_characters() {
        let lines = lines(LogFormat::Text, &ErrorMeter::default());
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines.iter().all(|l| l.starts_with("collector ") && !l.chars().any(char::is_control)),
            "{lines:?}"
        );
        assert!(lines[0].contains("rows=7"));
    }

    #[test]
    fn the_meter_counts_errors_only() {
        let meter = ErrorMeter::default();
        let _ = lines(LogFormat::Text, &meter);
        let _ = lines(LogFormat::Json, &meter);
        assert_eq!(meter.recent(), 2);
    }
}
