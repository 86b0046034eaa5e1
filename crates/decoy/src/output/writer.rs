//! The one writer of the lines: its own OS thread behind a bounded queue, so that a slow reader of our output slows
//! conversations down and never the runtime's threads.
//!
//! [`Writer::write`] returns after the line left the process. When the output stays blocked, lines are counted
//! and dropped rather than kept in memory without end. It knows nothing about what a line means.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// Lines that may wait for the writer.
const QUEUE: usize = 4096;
/// Bytes that may wait for the writer.
const QUEUE_BYTES: usize = 8 << 20;
/// Bytes written to the output at once.
const BATCH_BYTES: usize = 64 << 10;

struct Line {
    text: String,
    ack: Ack,
}

/// Tells the emitter; and keeps the queue's bytes bounded: the room is given back when the line is written.
type Ack = (oneshot::Sender<()>, tokio::sync::OwnedSemaphorePermit);

/// How a line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It left the process.
    Yes,
    /// It is queued, but the output has not taken it in time.
    Late,
    /// There was no room in time: it is lost and counted.
    Dropped,
}

/// The queue to the writing thread.
pub struct Writer {
    queue: mpsc::Sender<Line>,
    room: Arc<Semaphore>,
    dropped: Arc<AtomicU64>,
    patience: Duration,
}

impl Writer {
    /// Starts the thread. `about_drops` makes the line that confesses lost lines; `broken` is cancelled when the
    /// output cannot be written any more.
    pub fn start(
        output: impl Write + Send + 'static,
        patience: Duration,
        about_drops: impl Fn(u64) -> String + Send + 'static,
        broken: CancellationToken,
    ) -> io::Result<Self> {
        let (queue, lines) = mpsc::channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let thread = Thread { output, lines, dropped: dropped.clone(), about_drops, broken };
        std::thread::Builder::new()
            .name("lines".to_owned())
            .stack_size(128 << 10)
            .spawn(move || thread.run())?;
        Ok(Self { queue, room: Arc::new(Semaphore::new(QUEUE_BYTES)), dropped, patience })
    }

    /// Writes one line (without its newline) and waits until it is written, at most this writer's patience.
    pub async fn write(&self, text: String) -> Written {
        let deadline = Instant::now() + self.patience;
        let Some(done) = self.enqueue(text, deadline).await else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return Written::Dropped;
        };
        match timeout_at(deadline, done).await {
            Ok(Ok(())) => Written::Yes,
            // The thread is gone with the line: the output broke.
            Ok(Err(_)) => Written::Dropped,
            Err(_) => Written::Late,
        }
    }

    async fn enqueue(&self, text: String, deadline: Instant) -> Option<oneshot::Receiver<()>> {
        let bytes = u32::try_from(text.len().clamp(1, QUEUE_BYTES)).ok()?;
        let room = timeout_at(deadline, self.room.clone().acquire_many_owned(bytes)).await.ok()?.ok()?;
        let slot = timeout_at(deadline, self.queue.reserve()).await.ok()?.ok()?;
        let (written, done) = oneshot::channel();
        slot.send(Line { text, ack: (written, room) });
        Some(done)
    }

    /// Lines lost so far that no line has confessed yet.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

struct Thread<W, F> {
    output: W,
    lines: mpsc::Receiver<Line>,
    dropped: Arc<AtomicU64>,
    about_drops: F,
    broken: CancellationToken,
}

impl<W: Write, F: Fn(u64) -> String> Thread<W, F> {
    fn run(mut self) {
        let mut batch = Vec::new();
        let mut acks = Vec::new();
        while let Some(line) = self.lines.blocking_recv() {
            batch.clear();
            push(&mut batch, &mut acks, line);
            while batch.len() < BATCH_BYTES
                && let Ok(line) = self.lines.try_recv()
            {
                push(&mut batch, &mut acks, line);
            }
            if let Err(error) = self.put(&batch) {
                eprintln!(
                    "decoy: cannot write the lines ({error}); stopping, since nothing that happens here would be recorded"
                );
                self.broken.cancel();
                return;
            }
            for (written, room) in acks.drain(..) {
                drop(room);
                // Nobody waits any more when the emitter ran out of patience.
                let _ = written.send(());
            }
            // A flood must not pin its peak in memory.
            batch.shrink_to(BATCH_BYTES);
        }
    }

    fn put(&mut self, batch: &[u8]) -> io::Result<()> {
        self.output.write_all(batch)?;
        let lost = self.dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let mut line = (self.about_drops)(lost);
            line.push('\n');
            self.output.write_all(line.as_bytes())?;
        }
        self.output.flush()
    }
}

fn push(batch: &mut Vec<u8>, acks: &mut Vec<Ack>, line: Line) {
    batch.extend_from_slice(line.text.as_bytes());
    batch.push(b'\n');
    acks.push(line.ack);
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    /// An output whose reader has stopped reading until `open`.
    #[derive(Clone, Default)]
    struct Gate(Arc<Inside>);

    #[derive(Default)]
    struct Inside {
        state: Mutex<State>,
        opened: Condvar,
    }

    #[derive(Default)]
    struct State {
        open: bool,
        bytes: Vec<u8>,
    }

    impl Gate {
        fn open(&self) {
            self.0.state.lock().unwrap().open = true;
            self.0.opened.notify_all();
        }
        fn text(&self) -> String {
            String::from_utf8(self.0.state.lock().unwrap().bytes.clone()).unwrap()
        }
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut state = self.0.state.lock().unwrap();
            while !state.open {
                state = self.0.opened.wait(state).unwrap();
            }
            state.bytes.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn about(lost: u64) -> String {
        format!("lost {lost}")
    }

    #[tokio::test]
    async fn a_line_is_written_before_write_returns() {
        let gate = Gate::default();
        gate.open();
        let writer =
            Writer::start(gate.clone(), Duration::from_secs(5), about, CancellationToken::new()).unwrap();
        assert_eq!(writer.write("first".to_owned()).await, Written::Yes);
        assert_eq!(gate.text(), "first\n");
    }

    #[tokio::test]
    async fn a_blocked_output_bounds_memory_and_confesses_what_was_lost() {
        let gate = Gate::default();
        let writer = Arc::new(
            Writer::start(gate.clone(), Duration::from_millis(50), about, CancellationToken::new()).unwrap(),
        );
        let big = "x".repeat(1 << 20);
        let writes: Vec<_> = (0..40)
            .map(|_| {
                let (writer, big) = (writer.clone(), big.clone());
                tokio::spawn(async move { writer.write(big).await })
            })
            .collect();
        let mut dropped = 0;
        for write in writes {
            match write.await.unwrap() {
                Written::Dropped => dropped += 1,
                Written::Late => {}
                Written::Yes => panic!("written although the output was blocked"),
            }
        }
        assert!(dropped >= 30, "only {dropped} of 40 MiB were dropped");
        gate.open();
        // One more line: it goes out after the queued ones, followed by the confession. (The room may need a
        // moment to come back, so ask until a line is taken.)
        while writer.write("after".to_owned()).await != Written::Yes {}
        assert!(gate.text().contains("after\n"));
        assert!(gate.text().lines().any(|line| line.starts_with("lost ")), "no confession");
        assert_eq!(writer.dropped(), 0);
    }

    #[tokio::test]
    async fn a_broken_output_stops_the_decoy() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let broken = CancellationToken::new();
        let writer = Writer::start(Closed, Duration::from_secs(5), about, broken.clone()).unwrap();
        assert_eq!(writer.write("x".to_owned()).await, Written::Dropped);
        assert!(broken.is_cancelled());
    }
}
