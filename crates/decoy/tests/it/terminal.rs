//! A client at a terminal of its own, as a person uses it: keys in, and what is shown.

use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use crate::scene::PATIENCE;

/// A client at a terminal.
pub(crate) struct Terminal {
    child: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
    seen: usize,
}

impl Terminal {
    /// Runs this line of a shell at a terminal.
    pub(crate) fn open(line: &str) -> Self {
        let mut child = Command::new("script")
            .args(["-qec", line, "/dev/null"])
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut stdout, sink) = (child.stdout.take().unwrap(), shown.clone());
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(n @ 1..) = stdout.read(&mut part) {
                sink.lock().unwrap().extend_from_slice(&part[..n]);
            }
        });
        let keys = child.stdin.take().unwrap();
        Self { child, keys, shown, seen: 0 }
    }

    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn send(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until this is shown after what was waited for before.
    pub(crate) fn wait(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.shown.lock().unwrap().clone();
            let rest = String::from_utf8_lossy(&shown[self.seen..]).into_owned();
            if let Some(at) = rest.find(text) {
                self.seen += at + text.len();
                return;
            }
            assert!(Instant::now() < deadline, "waited in vain for {text:?} in {rest:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn end(mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the client does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
