//! The command line: `run`, `shell-server`, `health`, `probe-banner`. Wiring only.
//!
//! Exit codes: 0 done, 1 failed, 2 what was asked for is wrong.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    net::{IpAddr, SocketAddr},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use decnet_core::{Clock, SystemClock};
use tokio::{
    net::TcpStream,
    signal::unix::{SignalKind, signal},
};

use crate::{
    document::{self, Wishes},
    health,
    host::{Decoy, Surroundings},
    probe, shell,
};

const FAILED: u8 = 1;
const USAGE: u8 = 2;

/// Serves the protocols of one decky and writes what happens to them as RFC 5424 lines.
#[derive(Debug, Parser)]
#[command(name = "decnet-decoy", version)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve until SIGTERM.
    Run(Run),
    /// Be process 1 of a shell container. Its document is in the container; it hides itself.
    ShellServer,
    /// Ask whether a decoy is well.
    Health(Health),
    /// Connect to a decky's service, print its greeting and hang up.
    ProbeBanner(ProbeBanner),
}

#[derive(Debug, Args)]
struct Run {
    /// Services to run, separated by commas; in place of the document's
    #[arg(long, value_delimiter = ',')]
    services: Vec<String>,
    /// Address to listen on (may be repeated); everywhere if absent
    #[arg(long, value_delimiter = ',')]
    bind: Vec<IpAddr>,
    /// Added to each standard port; 20000 without a document
    #[arg(long)]
    port_base: Option<u16>,
    /// The document (JSON); else the variable `DECNET_DECOY_CONFIG` (the document itself or a path), else an invented machine
    #[arg(long)]
    config: Option<PathBuf>,
    /// Name of the decky in the lines
    #[arg(long, env = "NODE_NAME")]
    decky: Option<String>,
    /// 64 hexadecimal digits to invent the machine from; from the system's randomness if absent
    #[arg(long, env = "DECNET_DECOY_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// File that lines are appended to, in place of stdout
    #[arg(long)]
    output: Option<PathBuf>,
    /// Folder for values too large for a line and for captured files
    #[arg(long)]
    artifacts: Option<PathBuf>,
    /// Folder that stands for / of the decky
    #[arg(long)]
    root: Option<PathBuf>,
    /// Where to report health every few seconds
    #[arg(long, env = "DECNET_DECOY_HEALTH")]
    health_file: Option<PathBuf>,
    /// Ask for free ports instead; they are in the startup lines
    #[arg(long, hide = true)]
    any_port: bool,
}

#[derive(Debug, Args)]
struct Health {
    /// The file given to `run --health-file`
    #[arg(long, env = "DECNET_DECOY_HEALTH")]
    file: Option<PathBuf>,
    /// Document of a decoy: connect to each of its ports. Leaves `connect` lines in its log
    #[arg(long)]
    config: Option<PathBuf>,
    /// Address to connect to (may be repeated). Leaves `connect` lines in its log
    #[arg(long)]
    addr: Vec<SocketAddr>,
}

#[derive(Debug, Args)]
struct ProbeBanner {
    /// Address of the other decky; names are not resolved
    ip: IpAddr,
    /// Its port
    port: u16,
    /// Own address to come from
    #[arg(long)]
    from: Option<IpAddr>,
    /// Own port to come from
    #[arg(long)]
    source_port: Option<u16>,
    /// Own host name, for services that ask for it
    #[arg(long)]
    name: Option<String>,
    /// Own distribution, whose clients are used
    #[arg(long)]
    distro: Option<String>,
    /// Slug of the service there: what is said to it
    #[arg(long)]
    protocol: Option<String>,
}

impl Cli {
    /// Does what needs no async runtime, and must not have its threads; `None` if that is not what was asked for.
    pub fn run_alone(&self) -> Option<ExitCode> {
        matches!(self.verb, Verb::ShellServer).then(shell::start)
    }
}

/// Does what the arguments say.
pub async fn run(cli: Cli) -> ExitCode {
    let outcome = match cli.verb {
        Verb::Run(args) => serve(args).await,
        // Done before by [`Cli::run_alone`].
        Verb::ShellServer => Ok(()),
        Verb::Health(args) => ask(args).await,
        Verb::ProbeBanner(args) => greet(args).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, message)) => {
            eprintln!("decnet-decoy: {message}");
            ExitCode::from(code)
        }
    }
}

type Outcome = Result<(), (u8, String)>;

async fn serve(args: Run) -> Outcome {
    let config = document::assemble(Wishes {
        file: args.config,
        variable: std::env::var(document::VARIABLE).ok(),
        services: args.services,
        bind: args.bind,
        port_base: args.port_base,
        decky: args.decky,
        secret: args.secret,
        artifacts: args.artifacts,
        root: args.root,
    })
    .map_err(|error| (USAGE, error.to_string()))?;
    // Before anything listens: a signal in between must not kill us without a word.
    let signals = SignalKind::terminate();
    let mut terminate = signal(signals).map_err(|error| (FAILED, error.to_string()))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| (FAILED, error.to_string()))?;
    let surroundings =
        Surroundings { health_file: args.health_file, any_port: args.any_port, ..Surroundings::default() };
    let (sink, place) = open_sink(args.output.as_deref()).map_err(|message| (FAILED, message))?;
    let decoy = Decoy::start(config, surroundings, sink)
        .await
        .map_err(|error| (if error.is_usage() { USAGE } else { FAILED }, error.to_string()))?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = decoy.output_broke() => {
            return Err((FAILED, format!("{place} cannot be written any more: see above, mend it and start again")));
        }
    }
    decoy.stop().await;
    Ok(())
}

/// Where lines go, and its name for people.
fn open_sink(output: Option<&Path>) -> Result<(Box<dyn Write + Send>, String), String> {
    let Some(path) = output else { return Ok((Box::new(io::stdout()), "stdout".to_owned())) };
    // Appending: the file may be read, cut at its front and continued by a later start.
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let file = file.map_err(|error| {
        format!("cannot append to {} ({error}); give --output a file in a writable folder", path.display())
    })?;
    Ok((Box::new(file), path.display().to_string()))
}

async fn ask(args: Health) -> Outcome {
    if let Some(path) = &args.file {
        let health = health::check(path, SystemClock.now()).map_err(|why| (FAILED, why))?;
        println!("well: {} services, {} connections", health.services.len(), health.open);
        return Ok(());
    }
    let mut addresses = args.addr;
    if let Some(file) = args.config {
        let config = document::assemble(Wishes { file: Some(file), ..Wishes::default() })
            .map_err(|error| (USAGE, error.to_string()))?;
        for entry in &config.services {
            let ports = crate::catalogue::find(&entry.slug).map_or(&[][..], |known| known.ports);
            for ip in &entry.bind {
                // What listens everywhere is asked at home.
                let ip = match ip {
                    IpAddr::V4(v4) if v4.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
                    IpAddr::V6(v6) if v6.is_unspecified() => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
                    ip => *ip,
                };
                addresses.extend(
                    ports.iter().map(|port| SocketAddr::new(ip, port.saturating_add(entry.port_base))),
                );
            }
        }
    }
    if addresses.is_empty() {
        return Err((USAGE, "give --file, --config or --addr".to_owned()));
    }
    for addr in addresses {
        let answer = tokio::time::timeout(Duration::from_secs(3), TcpStream::connect(addr)).await;
        match answer {
            Ok(Ok(_)) => println!("{addr} listens"),
            Ok(Err(error)) => return Err((FAILED, format!("{addr} does not listen ({error}); see its log"))),
            Err(_) => return Err((FAILED, format!("{addr} does not answer; restart the decoy"))),
        }
    }
    Ok(())
}

async fn greet(args: ProbeBanner) -> Outcome {
    let to = SocketAddr::new(args.ip, args.port);
    let caller = probe::Caller {
        from: args.from,
        source_port: args.source_port,
        name: args.name,
        distro: args.distro,
        protocol: args.protocol,
    };
    let (greeting, port) = probe::probe(to, &caller).await.map_err(|error| {
        (FAILED, format!("{to} is not reached ({error}); is the service up and the address right?"))
    })?;
    eprintln!("source port {port}");
    // Another decky's words, but they passed through a network: nothing of them may drive a terminal.
    println!("{}", decnet_logline::clean_bytes(&greeting));
    Ok(())
}
