//! The server runner, and what provisioning leaves on a real server.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, time::Duration};

use async_nats::jetstream::{self, stream::Config};
use decnet_bus::{
    Bus, BusIdentity, Provisioning, StreamName, Topic, Worker, payload, provision, provision_with,
    server::{Server, ServerConfig, ServerError},
};
use decnet_core::HostId;

use crate::net::{Net, PATIENCE, binary, config, eventually};

async fn jetstream_of(server: &Server) -> jetstream::Context {
    let options = async_nats::ConnectOptions::with_token(server.token().to_owned());
    jetstream::new(options.connect(server.url()).await.unwrap())
}

async fn stream(jetstream: &jetstream::Context, name: StreamName) -> Config {
    jetstream.get_stream(name.as_str()).await.unwrap().cached_info().config.clone()
}

#[tokio::test]
async fn streams_and_consumers_are_as_the_table_says() {
    let net = Net::nats().await;
    provision(&net.bus(Worker::Cli).await).await.unwrap();
    let Net::Nats { server, .. } = &net else { unreachable!() };
    let jetstream = jetstream_of(server).await;

    let events = stream(&jetstream, StreamName::Events).await;
    assert_eq!(
        (events.max_age, events.duplicate_window),
        (Duration::from_hours(7 * 24), Duration::from_mins(10))
    );
    assert!(events.subjects.contains(&"decnet.identity.formed".to_owned()));
    assert!(!events.subjects.iter().any(|subject| subject.contains('>')), "{:?}", events.subjects);
    let ingest = stream(&jetstream, StreamName::Ingest).await;
    assert_eq!(ingest.discard, jetstream::stream::DiscardPolicy::New);
    let commands = stream(&jetstream, StreamName::Commands).await;
    assert_eq!(commands.retention, jetstream::stream::RetentionPolicy::WorkQueue);
    assert_eq!(stream(&jetstream, StreamName::Health).await.max_messages_per_subject, 1);

    let agent = jetstream.get_stream("COMMANDS").await.unwrap().consumer_info("agent-local").await.unwrap();
    assert_eq!(agent.config.filter_subjects, ["decnet.cmd.deploy.local", "decnet.cmd.teardown.local"]);
    assert!(agent.config.backoff.is_empty(), "a backoff would override ack_wait");

    // SIEM copies what EVENTS gets.
    let bus = net.bus(Worker::Clusterer).await;
    let merged = payload::Merged { winner_uuid: "a".to_owned(), loser_uuid: "b".to_owned() };
    let envelope = bus.envelope(&Topic::IdentityMerged, &merged).unwrap();
    bus.publish_acked(&Topic::IdentityMerged, &envelope.id, &envelope).await.unwrap();
    eventually("SIEM has the event", || async {
        jetstream.get_stream("SIEM").await.unwrap().cached_info().state.messages == 1
    })
    .await;
}

#[tokio::test]
async fn streams_shrink_to_a_small_disk() {
    let folder = tempfile::tempdir().unwrap();
    let small = ServerConfig { max_storage: Some(512 * 1024 * 1024), ..config(&folder) };
    let server = Server::start(small).await.unwrap();
    let bus = Bus::nats(&server.bus_config(), BusIdentity::local(Worker::Cli)).await.unwrap();
    let wish = Provisioning::for_hosts(&[HostId::default()]);
    provision_with(&bus, &wish).await.unwrap();
    provision_with(&bus, &wish).await.unwrap();
    let jetstream = jetstream_of(&server).await;
    let mut total = 0;
    for name in [StreamName::Events, StreamName::Ingest, StreamName::Commands, StreamName::Siem] {
        total += stream(&jetstream, name).await.max_bytes;
    }
    assert!((200 << 20..512 << 20).contains(&total), "{total}");
}

#[tokio::test]
async fn no_storage_at_all_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = ServerConfig { max_storage: Some(1024 * 1024), ..config(&folder) };
    let server = Server::start(tiny).await.unwrap();
    let bus = Bus::nats(&server.bus_config(), BusIdentity::local(Worker::Cli)).await.unwrap();
    let error = provision(&bus).await.unwrap_err().to_string();
    assert!(error.contains("free disk space"), "{error}");
}

#[tokio::test]
async fn a_server_keeps_port_token_and_streams_over_its_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(config(&folder)).await.unwrap();
    let (port, token, first) = (server.port(), server.token().to_owned(), server.pid());
    let bus = Bus::nats(&server.bus_config(), BusIdentity::local(Worker::Cli)).await.unwrap();
    provision(&bus).await.unwrap();
    let conf = folder.path().join("bus/nats.conf");
    assert_eq!(fs::metadata(&conf).unwrap().permissions().mode() & 0o777, 0o600);

    server.kill().await;
    server.restart().await.unwrap();
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), first);
    assert!(stream(&jetstream_of(&server).await, StreamName::Events).await.max_bytes > 0);

    tokio::time::timeout(PATIENCE, server.stop()).await.expect("stopping is bounded");
    assert!(TcpListener::bind(("127.0.0.1", port)).is_ok(), "the port is free again");
    // Another supervisor in the same folder finds the same token.
    let mut again = Server::start(ServerConfig { port, ..config(&folder) }).await.unwrap();
    assert_eq!(again.token(), token);
    again.stop().await;
}

#[tokio::test]
async fn a_taken_port_is_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let error = Server::start(ServerConfig { port, ..config(&folder) }).await.unwrap_err();
    assert!(matches!(error, ServerError::PortTaken { .. }));
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    drop(taken);

    // A broker of the same folder that outlived its supervisor is named.
    let server = Server::start(config(&folder)).await.unwrap();
    let again = ServerConfig { port: server.port(), ..config(&folder) };
    let text = Server::start(again).await.unwrap_err().to_string();
    assert!(text.contains(&format!("process {}", server.pid().unwrap())), "{text}");
}

#[tokio::test]
async fn an_unfit_binary_or_folder_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let script = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let start =
        |binary| Server::start(ServerConfig { binary: Some(binary), ..ServerConfig::new(folder.path()) });

    let old = start(script("old", "echo 'nats-server: v2.9.10'")).await.unwrap_err();
    assert!(matches!(old, ServerError::TooOld { .. }), "{old}");
    let missing = start(folder.path().join("missing")).await.unwrap_err();
    assert!(matches!(missing, ServerError::NotRunnable { .. }), "{missing}");
    let dying =
        "[ \"$1\" = --version ] && echo 'nats-server: v2.15.1' && exit 0\necho '[FTL] no luck today'; exit 1";
    let died = start(script("dying", dying)).await.unwrap_err();
    assert!(died.to_string().contains("no luck today"), "{died}");

    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let config = ServerConfig { binary: Some(binary()), ..ServerConfig::new(file.join("bus")) };
    let folder = Server::start(config).await.unwrap_err();
    assert!(matches!(folder, ServerError::Folder { .. }), "{folder}");
}
