//! Deckies as containers: what the engine and the LAN see of them, what a restart keeps, and what a failure leaves.

use std::{net::IpAddr, time::Duration};

use decnet_core::DeckyName;
use decnet_fleet::{DeckyState, ServiceState};
use decnet_runtime::{HostRuntime, OutputItem};
use futures_util::StreamExt;

use crate::{
    bench::name,
    docker_bench::{DockerBench, ip_of, reaches, status},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_decky_has_its_own_address_name_and_stack_and_leaves_nothing() {
    let Some(bench) = DockerBench::new() else { return };
    let runtime = bench.open().await;
    let plan = bench
        .deploy(
            &runtime,
            "[web]\nservices=http\nnmap_os=linux\n[win]\nservices=http\nnmap_os=windows\n[box]\nservices=redis\nnmap_os=embedded\n",
        )
        .await;
    let intruder = bench.lan.plug().unwrap();
    for (decky, ttl) in [("web", 64), ("win", 128), ("box", 255)] {
        let wanted = plan.decky(decky).unwrap();
        let document = bench.engine.inspect(decky).unwrap();
        let endpoint = &document["NetworkSettings"]["Networks"][&plan.networks[0].name];
        assert_eq!(endpoint["MacAddress"].as_str(), Some(wanted.mac.as_str()));
        assert_eq!(endpoint["IPAddress"].as_str(), Some(wanted.ip().to_string().as_str()));
        assert_eq!(document["Config"]["Hostname"].as_str(), Some(wanted.persona.hostname.as_str()));
        let config = &document["HostConfig"];
        assert_eq!(config["CapDrop"][0].as_str(), Some("ALL"));
        assert_eq!(config["CapAdd"].as_array().map(Vec::len), Some(1));
        assert_eq!(config["RestartPolicy"]["Name"].as_str(), Some("unless-stopped"));
        assert_eq!(config["SecurityOpt"][0].as_str(), Some("no-new-privileges"));
        assert_eq!(config["PidsLimit"].as_u64(), Some(256));
        let ip = ip_of(&plan, decky).to_string();
        let pinged = intruder.run("ping", &["-c", "1", "-W", "5", &ip]).await.unwrap();
        assert!(pinged.stdout.contains(&format!("ttl={ttl} ")), "{decky}: {}", pinged.stdout);
        let neighbours = intruder.run("ip", &["neigh", "show", &ip]).await.unwrap();
        assert!(neighbours.stdout.contains(&wanted.mac), "{}", neighbours.stdout);
    }
    let found = status(&runtime, "web").await.unwrap();
    assert_eq!(found.services["http"], ServiceState::Running);
    assert_eq!(found.plan_hash.as_ref(), Some(&plan.deckies[0].plan_hash));
    // The same plan again touches nothing.
    let before = bench.engine.pid("web").unwrap();
    assert!(!runtime.deploy(&plan.deckies[0]).await.unwrap().started);
    assert_eq!(bench.engine.pid("web").unwrap(), before);

    for decky in ["web", "win", "box"] {
        assert!(runtime.remove(&name(decky)).await.unwrap());
        assert!(!runtime.remove(&name(decky)).await.unwrap());
    }
    runtime.settle(None).await.unwrap();
    assert_eq!(bench.traces(), Vec::<String>::new());
    assert_eq!(runtime.inspect().await.unwrap(), []);
}
