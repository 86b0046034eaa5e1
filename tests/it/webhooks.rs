//! A receiver that was away for a while gets everything that happened meanwhile, signed, and nothing twice.

use std::{collections::BTreeSet, net::Ipv4Addr, time::Duration};

use anyhow::{Result, ensure};
use decnet_tests::{Stack, eventually, intruder::Intruder, receiver::Receiver};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_was_down_gets_what_it_missed() -> Result<()> {
    let stack = Stack::start().await?;
    let targets = stack.deploy("[web]\nservices = http, ssh\n").await?;
    // Its place is known and nobody is there.
    let receiver = Receiver::listen().await?;
    receiver.subscribe(&stack).await?;
    let place = receiver.address();
    drop(receiver);
    let addresses: Vec<Ipv4Addr> = (1..=3).map(|n| Ipv4Addr::new(127, 74, 1, n)).collect();
    for ip in &addresses {
        Intruder::at(*ip).curl(&targets[0], "/", &[]).await?;
        Intruder::at(*ip).ssh(&targets[0], "root", "toor", "id").await?;
    }
    // It has been tried in vain at least once.
    eventually("a failure that the tool tells of", Duration::from_secs(30), || async {
        let list = stack.json(&["webhook", "list", "--json"]).await?;
        Ok(list.to_string().contains("refused").then_some(()))
    })
    .await?;
    ensure!(stack.kill("decnet-webhook")? == 1, "no worker of webhooks");
    let receiver = Receiver::at(place).await?;
    eventually("everything that it missed", Duration::from_mins(1), || async {
        let notices = receiver.notices();
        let of = |topic: &str| {
            let of = notices.iter().filter(|notice| notice.topic == topic);
            of.map(|notice| notice.body.to_string()).collect::<Vec<_>>()
        };
        let (observed, captured) = (of("attacker.observed").concat(), of("credential.captured").concat());
        for ip in &addresses {
            ensure!(observed.contains(&format!("\"{ip}\"")), "{ip} is missing from {notices:?}");
            ensure!(
                captured.contains(&format!("\"{ip}\"")),
                "the credential of {ip} is missing from {notices:?}"
            );
        }
        Ok(Some(()))
    })
    .await?;
    let notices = receiver.notices();
    let ids: BTreeSet<_> = notices.iter().map(|notice| notice.body["id"].to_string()).collect();
    ensure!(ids.len() == notices.len(), "{} notices of {} events", notices.len(), ids.len());
    ensure!(receiver.wrong() == 0, "{} wrong signatures", receiver.wrong());
    stack.stop().await
}
