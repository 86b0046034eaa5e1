//! `decnet`, the operator's tool: one file a verb.
//!
//! JSON goes to stdout (one document, or one object a line), everything else to stderr. Exit 0 = done, 2 = bad usage
//! or bad input with the place named, 1 = failed. Attacker text is cleaned before it reaches a terminal.

mod attackers;
mod bus;
mod catalogue;
mod config;
mod deploy;
mod gate;
mod images;
mod init;
mod lab;
mod logs;
mod operation;
mod realism;
mod reconcile;
mod render;
mod rotate;
mod run_file;
mod status;
mod teardown;
mod up;
mod webhook;

use std::{io::Write, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use decnet_kit::args::CommonArgs;

#[derive(Parser)]
#[command(
    name = "decnet",
    version,
    about = "The deception network: fill a LAN with fake machines and see who touches them"
)]
struct Cli {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run everything in the foreground: broker, migrations, every worker
    Up(up::Args),
    /// Deploy a fleet from an INI file or from flags
    Deploy(deploy::Args),
    /// What is deployed, what runs
    Status(status::Args),
    /// Remove one decky or all of them
    Teardown(teardown::Args),
    /// Make the table of deckies true: once, or until it is stopped
    Reconcile(reconcile::Args),
    /// What deckies saw, newest last
    Logs(logs::Args),
    /// Who was seen
    Attackers(attackers::Args),
    /// Where events go: signed posts to receivers of yours
    Webhook {
        #[command(subcommand)]
        verb: webhook::Verb,
    },
    /// Services that a decky can offer
    Services(render::Format),
    /// Named bundles of services
    Archetypes(render::Format),
    /// Operating systems that a decky can show
    Distros(render::Format),
    /// Root file systems for shells
    Images {
        #[command(subcommand)]
        verb: images::Verb,
    },
    /// The settings of this machine
    Config {
        #[command(subcommand)]
        verb: config::Verb,
    },
    /// The fleet's invented people
    Realism {
        #[command(subcommand)]
        verb: realism::Verb,
    },
    /// The parts by themselves, without broker and database
    Lab {
        #[command(subcommand)]
        verb: lab::Verb,
    },
    /// Bring the database and the broker's streams up to this version
    Migrate(up::MigrateArgs),
    /// Install on this machine: users, folders, keys, units; start, and wait until everything runs
    Init(init::Args),
    /// The broker's keys
    Bus {
        #[command(subcommand)]
        verb: rotate::Verb,
    },
    /// Print the completion script of a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Input or usage that only the operator can mend: exit 2 instead of 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct BadInput(String);

fn main() -> ExitCode {
    let matches = gate::without_masters_verbs(Cli::command()).get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let outcome = match cli.verb {
        Verb::Up(args) => up::run(&cli.common, &args),
        Verb::Deploy(args) => deploy::run(&cli.common, &args),
        Verb::Status(args) => status::run(&cli.common, &args),
        Verb::Teardown(args) => teardown::run(&cli.common, &args),
        Verb::Reconcile(args) => reconcile::run(&cli.common, &args),
        Verb::Logs(args) => logs::run(&cli.common, &args),
        Verb::Attackers(args) => attackers::run(&cli.common, &args),
        Verb::Webhook { verb } => webhook::run(&cli.common, &verb),
        Verb::Services(format) => catalogue::services(format),
        Verb::Archetypes(format) => catalogue::archetypes(format),
        Verb::Distros(format) => catalogue::distros(format),
        Verb::Images { verb } => images::run(&cli.common, &verb),
        Verb::Config { verb } => config::run(&cli.common, &verb),
        Verb::Realism { verb } => realism::run(&cli.common, &verb),
        Verb::Lab { verb } => lab::run(&verb),
        Verb::Migrate(args) => up::migrate(&cli.common, &args),
        Verb::Init(args) => init::run(&cli.common, &args),
        Verb::Bus { verb } => rotate::run(&cli.common, &verb),
        Verb::Completions { shell } => completions(shell),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // The reader (`head`, a pager) has seen enough.
        Err(error) if render::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("decnet: {}", render::chain(&error));
            let bad_input = error.chain().any(<dyn std::error::Error>::is::<BadInput>);
            ExitCode::from(if bad_input { 2 } else { 1 })
        }
    }
}

/// The completion script of a shell.
fn completions(shell: clap_complete::Shell) -> anyhow::Result<()> {
    // The generator panics when nobody reads any more, so it writes to memory first.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "decnet", &mut script);
    Ok(std::io::stdout().lock().write_all(&script)?)
}

/// Runs an asynchronous verb; the tool does one thing at a time, so one thread is enough.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
