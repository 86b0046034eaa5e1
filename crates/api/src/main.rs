//! `decnet-api`: the HTTP API as a worker. Everything it does is in the library.

use std::{io::Write, process::ExitCode};

use clap::{Parser, Subcommand};
use decnet_bus::Worker;
use decnet_kit::{CommonArgs, WorkerInfo};

/// The HTTP API of a deception network.
#[derive(Debug, Parser)]
#[command(name = "decnet-api", version)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print the OpenAPI document; needs neither database nor broker
    Openapi,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.verb {
        Some(Verb::Openapi) => match std::io::stdout().write_all(decnet_api::openapi_json().as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            // A closed pipe is the reader's choice.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        None => {
            let info = WorkerInfo::new(Worker::Api, env!("CARGO_PKG_VERSION"));
            decnet_kit::run(info, &args.common, decnet_api::server::run)
        }
    }
}
