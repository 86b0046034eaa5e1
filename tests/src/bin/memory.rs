//! How much memory every process of an idle system holds: proportional set size (PSS) from `/proc/<pid>/smaps_rollup`.
//! A measure, not a test: `cargo xtask bench` runs it on release binaries.

use std::time::Duration;

use anyhow::{Context, Result};
use decnet_tests::Stack;

/// Program and the aim for it in KiB; the broker is not ours and has none.
const PROGRAMS: [(&str, Option<u64>); 7] = [
    ("decnet", None),
    ("nats-server", None),
    ("decnet-agent", Some(12 * 1024)),
    ("decnet-collector", Some(12 * 1024)),
    ("decnet-orchestrator", Some(12 * 1024)),
    ("decnet-api", Some(12 * 1024)),
    ("decnet-decoy", Some(6 * 1024)),
];

/// Time for caches to fill and allocators to settle.
const SETTLE: Duration = Duration::from_secs(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let stack = Stack::start().await?;
    stack.deploy("[all]\nservices = ssh, http, redis, imap\n").await?;
    tokio::time::sleep(SETTLE).await;
    for (program, aim) in PROGRAMS {
        for pid in stack.pids(program)? {
            let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
            let kib = |name: &str| {
                let of =
                    |line: &str| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.trim().parse().ok();
                rollup.lines().find_map(of).with_context(|| format!("no {name} in smaps_rollup"))
            };
            // The rest of the PSS is the program file, which the kernel can drop and read again.
            let (pss, anonymous): (u64, u64) = (kib("Pss:")?, kib("Pss_Anon:")?);
            #[expect(clippy::cast_precision_loss, reason = "a ratio for reading")]
            let ratio = aim.map_or_else(String::new, |aim| {
                format!("  {:.2} of the aim of {} KiB", pss as f64 / aim as f64, aim)
            });
            println!("{program:<20} {pss:>7} KiB PSS, of it {anonymous:>5} KiB anonymous{ratio}");
        }
    }
    stack.stop().await
}
