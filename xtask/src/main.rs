//! The project's own tasks, run as `cargo xtask <task>`: one file a task.
//!
//! It drives cargo, the system's package tools and the finished binaries; nothing of DECNET itself lives here.

mod bench;
mod ci;
mod databases;
mod demo;
mod engine;
mod generate;
mod images;
mod setup;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "DECNET's own tasks")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what is missing on this machine, and say what
    Setup {
        /// Install and start a Docker engine too
        #[arg(long)]
        docker: bool,
        /// Install the servers and clients of the optional suites too
        #[arg(long)]
        all: bool,
    },
    /// Build, bring up a small fleet, play an intrusion against it and show what was seen
    Demo {
        /// Exit after the summary: 0 when every stage produced its result, else 1
        #[arg(long)]
        once: bool,
    },
    /// Run every suite
    Test {
        /// The optional, heavy suites too
        #[arg(long)]
        all: bool,
        /// Only tests whose name contains this
        filter: Option<String>,
    },
    /// Build the decoy as one static file, as it goes into containers
    Images,
    /// Measure speed and memory on this machine
    Bench,
    /// Write the generated files
    Gen {
        /// Only compare; fail when one is stale
        #[arg(long)]
        check: bool,
    },
    /// Check the rules of the house that no compiler knows
    Tidy,
    /// Everything that must be green before a change lands
    Ci,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Setup { docker, all } => setup::run(docker, all),
        Task::Demo { once } => demo::run(once),
        Task::Test { all, filter } => test::run(all, filter.as_deref()),
        Task::Images => images::run(),
        Task::Bench => bench::run(),
        Task::Gen { check } => generate::run(check),
        Task::Tidy => tidy::run(),
        Task::Ci => ci::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
