//! Network namespaces of a test's own, joined by cables, and programs in them. All of it goes on drop.

use std::{
    fs::File,
    future::Future,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use decnet_core::{IdSource, SystemIds};
use decnet_logline::Record;
use decnet_runtime::containment::Lines;
use nix::sched::{CloneFlags, setns};

/// How long anything may take that should happen at once.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// Whether namespaces can be made. With `DECNET_REQUIRE_DOCKER=1` they must.
pub(crate) fn is_root() -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    assert!(
        std::env::var_os("DECNET_REQUIRE_DOCKER").is_none_or(|value| value != "1"),
        "DECNET_REQUIRE_DOCKER=1, but network namespaces need root"
    );
    println!("skipped: network namespaces need root");
    false
}

/// Eight hexadecimal digits that nobody else has.
pub(crate) fn tag() -> String {
    SystemIds.next_id().simple().to_string().chars().rev().take(8).collect()
}

/// A network namespace.
pub(crate) struct Space {
    pub(crate) name: String,
}

impl Space {
    pub(crate) fn new() -> Self {
        let space = Self { name: format!("ht{}", tag()) };
        sh("ip", &["netns", "add", &space.name]);
        space.ip(&["link", "set", "lo", "up"]);
        space
    }

    /// `ip -n <space> ...`.
    pub(crate) fn ip(&self, args: &[&str]) -> String {
        let args: Vec<&str> = ["-n", &self.name].iter().chain(args).copied().collect();
        sh("ip", &args)
    }

    /// A cable from here to there; `up` at both ends.
    pub(crate) fn cable(&self, here: &str, there: &Self, end: &str) {
        self.ip(&["link", "add", here, "type", "veth", "peer", "name", end, "netns", &there.name]);
        self.ip(&["link", "set", here, "up"]);
        there.ip(&["link", "set", end, "up"]);
    }

    /// Runs a program here to its end.
    pub(crate) fn run(&self, program: &str, args: &[&str]) -> Output {
        self.command(program, args).output().unwrap()
    }

    /// Starts a program here.
    pub(crate) fn spawn(&self, program: &str, args: &[&str]) -> Running {
        Running(self.command(program, args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]).args(args).stdin(Stdio::null());
        command
    }

    /// Runs `work` on a thread and a runtime in here.
    pub(crate) fn inside<T: Send, F: Future<Output = T>>(&self, work: impl FnOnce() -> F + Send) -> T {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let file = File::open(format!("/run/netns/{}", self.name)).unwrap();
                setns(&file, CloneFlags::CLONE_NEWNET).unwrap();
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(work())
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// An HTTP server on a port, once it answers.
    pub(crate) fn web_server(&self, port: u16) -> Running {
        let server = self.spawn("python3", &["-m", "http.server", "--bind", "::", &port.to_string()]);
        let url = format!("http://127.0.0.1:{port}/");
        until("the web server answers", || self.curl(&url).then_some(()));
        server
    }

    /// Whether a page can be had within a second.
    pub(crate) fn curl(&self, url: &str) -> bool {
        self.run("curl", &["-s", "-o", "/dev/null", "-g", "--max-time", "1", url]).status.success()
    }

    /// Whether a ping is answered within a second.
    pub(crate) fn ping(&self, to: &str) -> bool {
        self.run("busybox", &["ping", "-c", "1", "-W", "1", to]).status.success()
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let pids = Command::new("ip").args(["netns", "pids", &self.name]).output();
        for pid in pids.iter().flat_map(|output| output.stdout.split(|byte| *byte == b'\n')) {
            if let Some(pid) = std::str::from_utf8(pid).ok().and_then(|pid| pid.parse().ok())
                && let Some(pid) = rustix::process::Pid::from_raw(pid)
            {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

/// A program that ends with the test.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a program that must succeed; what it wrote.
pub(crate) fn sh(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {args:?}: {err}");
    out.trim_end().to_owned()
}

/// Asks until there is an answer.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + BOUND;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not within {BOUND:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Lines that were written.
#[derive(Clone, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<Record>>>);

impl Written {
    /// Where to write them.
    pub(crate) fn sink(&self) -> Lines {
        let lines = Arc::clone(&self.0);
        Arc::new(move |record| {
            // As any reader would get it.
            let read = decnet_logline::scan(record.encode().as_bytes()).unwrap();
            assert_eq!(read, record);
            lines.lock().unwrap().push(record);
        })
    }

    pub(crate) fn all(&self) -> Vec<Record> {
        self.0.lock().unwrap().clone()
    }

    /// The first line that fits, once it is there.
    pub(crate) fn wait_for(&self, what: &str, fits: impl Fn(&Record) -> bool) -> Record {
        let deadline = Instant::now() + BOUND;
        loop {
            if let Some(record) = self.all().into_iter().find(&fits) {
                return record;
            }
            assert!(Instant::now() < deadline, "{what}: no such line among {:#?}", self.all());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A field of a line, empty if there is none.
pub(crate) fn field<'a>(record: &'a Record, name: &str) -> &'a str {
    record.fields.get(name).unwrap_or_default()
}
