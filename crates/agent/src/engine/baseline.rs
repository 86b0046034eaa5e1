//! The seam of the canary baseline (spec 6.4): what is planted on a decky once it runs. The planter is a later issue's; until
//! then nothing is planted.
//!
//! Planting never fails a deploy, and a decky that was left alone by a deploy is not planted again.

use std::time::Duration;

use async_trait::async_trait;
use decnet_core::DeckyName;
use decnet_fleet::DeckyConfig;

/// How long the planting of one decky may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The shape of a decky's file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Drive letters and profiles.
    Windows,
    /// One tree.
    Linux,
}

/// Plants the baseline.
#[async_trait]
pub(crate) trait Baseline: Send + Sync {
    /// Plants the baseline of a decky that runs.
    async fn plant(&self, decky: &DeckyName, shape: Shape) -> anyhow::Result<()>;
}

/// Plants nothing.
pub(crate) struct NoBaseline;

#[async_trait]
impl Baseline for NoBaseline {
    async fn plant(&self, _: &DeckyName, _: Shape) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Has the baseline of `decky` planted; what goes wrong is logged and no more.
pub(super) async fn plant(baseline: &dyn Baseline, decky: &DeckyConfig) {
    let shape = if decky.is_windows() { Shape::Windows } else { Shape::Linux };
    let reason = match tokio::time::timeout(PATIENCE, baseline.plant(&decky.name, shape)).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => format!("it took longer than {} s", PATIENCE.as_secs()),
    };
    tracing::error!(decky = %decky.name, reason, "the canary baseline was not planted; the deploy goes on");
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Planter(Mutex<Vec<(String, Shape)>>);

    #[async_trait]
    impl Baseline for Planter {
        async fn plant(&self, decky: &DeckyName, shape: Shape) -> anyhow::Result<()> {
            self.0.lock().unwrap().push((decky.to_string(), shape));
            anyhow::ensure!(shape == Shape::Linux, "no such drive");
            if decky.as_str() == "slow" {
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn windows_is_told_by_its_stack_and_a_failure_is_nobodys_trouble() {
        let planter = Planter::default();
        for (name, os) in
            [("a", "linux"), ("b", "Windows"), ("c", "win10"), ("d", "embedded"), ("slow", "bsd")]
        {
            let decky = serde_json::from_value(serde_json::json!({
                "name": name, "ip": "127.9.9.1", "services": ["ssh"], "distro": "debian", "base_image": "b",
                "hostname": "h", "nmap_os": os,
            }));
            plant(&planter, &decky.unwrap()).await;
        }
        let shapes: Vec<Shape> = planter.0.lock().unwrap().iter().map(|(_, shape)| *shape).collect();
        assert_eq!(shapes, [Shape::Linux, Shape::Windows, Shape::Windows, Shape::Linux, Shape::Linux]);
    }
}
