//! `decnet-decoy`: the static binary inside a decky. See the library for what it does.

use std::process::ExitCode;

use clap::Parser;
use decnet_decoy::{
    cli::{self, Cli},
    shell,
};

fn main() -> ExitCode {
    // A process of the shell container has no arguments of ours: before anything reads them.
    if let Some(code) = shell::stage() {
        return code;
    }
    let cli = Cli::parse();
    if let Some(code) = cli.run_alone() {
        return code;
    }
    // The default message would print what was captured; the place is enough to find the bug.
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        eprintln!("decoy: internal error at {place}; the connection is closed, please report it");
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // One may be busy with a key exchange while the other answers; more only cost memory.
        .worker_threads(2)
        .max_blocking_threads(2)
        .thread_stack_size(512 << 10)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(cli::run(cli));
            // A blocking task may still wait for a slow disk: do not wait for it.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            eprintln!("decnet-decoy: cannot start ({error}); raise the limits on threads and files");
            ExitCode::FAILURE
        }
    }
}
