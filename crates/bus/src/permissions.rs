//! What each key may do on the broker, derived from the subject table and rendered for its configuration.
//!
//! * publish: its producer rows, its own beat, requests into its own inbox, the narrow JetStream subjects of its durable;
//! * subscribe: what it reads live or serves, its own control, its own inbox. What a durable brings arrives on the inbox,
//!   so rows that only wake a worker need no right;
//! * nothing else, and some of the rest is denied by name, because a deny wins over whatever is allowed later.
//!
//! One known limit: who may make consumers on `SIEM` could name any subject for their delivery. Only the webhook worker
//! may, and what it could send there are copies of events, which no receiver takes for an order.

use std::{fmt::Write, time::Duration};

use decnet_core::HostId;

use crate::{Delivery, Durable, Field, Place, StreamName, TopicFilter, TopicKind, TopicSpec, Worker};

/// Account of all workers.
pub(crate) const ACCOUNT: &str = "DECNET";
/// Account of the server's own events. Nobody has a key for it until an operator makes one.
const SYSTEM_ACCOUNT: &str = "SYS";

/// Denied to everyone, whatever a later line allows.
const DENIED: &[&str] = &[
    "$SYS.>",
    "$JS.API.STREAM.DELETE.>",
    "$JS.API.STREAM.PURGE.>",
    "$JS.API.STREAM.MSG.DELETE.>",
    "$JS.API.STREAM.MSG.GET.>",
    "$JS.API.STREAM.SNAPSHOT.>",
    "$JS.API.STREAM.RESTORE.>",
    "$JS.API.STREAM.REMOVE.>",
    "$JS.API.ACCOUNT.PURGE.>",
    "$JS.API.SERVER.>",
];

/// How long a worker may take to answer an order; the agent, whose verbs reach into deckies, has longer.
const ANSWER: Duration = Duration::from_secs(5);
const VERB_ANSWER: Duration = Duration::from_mins(1);

/// The rights of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// Subjects that it may publish to.
    pub publish: Vec<String>,
    /// Subjects that it may subscribe to.
    pub subscribe: Vec<String>,
    /// How long it may take to answer a request that reached it; `None`: it answers none.
    pub answers_within: Option<Duration>,
}

impl Permissions {
    /// The rights of `worker` on `host`.
    pub fn of(worker: Worker, host: &HostId) -> Self {
        let inbox = format!("_INBOX_{worker}.>");
        let rows = |own: TopicKind, test: &dyn Fn(&TopicSpec) -> bool| -> Vec<String> {
            let kinds = TopicKind::ALL.iter().filter(|kind| test(kind.spec()));
            kinds.flat_map(|kind| bound(*kind, own, worker, host)).collect()
        };
        let mut publish = rows(TopicKind::SystemHealth, &|row| row.producers.contains(&worker));
        let mut subscribe = rows(TopicKind::SystemControl, &|row| listens(worker, row));
        publish.extend(jetstream(worker, host));
        publish.push(inbox.clone());
        subscribe.push(inbox);
        let answers = TopicKind::ALL.iter().any(|kind| {
            let row = kind.spec();
            row.class == Delivery::Core && row.family() == "ask" && row.reads.contains(&worker)
        });
        let answers_within = match worker {
            Worker::Migrate | Worker::Cli => None,
            _ if answers => Some(VERB_ANSWER),
            _ => Some(ANSWER),
        };
        Self { publish, subscribe, answers_within }
    }
}

/// Whether `worker` needs a live subscription for `row`.
pub fn listens(worker: Worker, row: &TopicSpec) -> bool {
    // The webhook worker reads what streams keep from `SIEM`, where nothing is lost while it is away.
    let through_siem = worker == Worker::Webhook && row.class == Delivery::Stream;
    row.reads.contains(&worker) && !through_siem
}

/// The subjects of a row as `worker` may name them: of its own host where it speaks for that only, and of row `own`, its beat
/// or the orders to it, only those with its own name.
fn bound(kind: TopicKind, own: TopicKind, worker: Worker, host: &HostId) -> Vec<String> {
    let mut filter = TopicFilter::kind(kind);
    if kind == own {
        filter = filter.bind(Field::Host, host).bind(Field::Worker, worker.token());
    } else if worker.spec().place == Place::Hosts {
        filter = filter.bind(Field::Host, host);
    }
    filter.subjects()
}

/// The subjects of JetStream's own protocol.
fn jetstream(worker: Worker, host: &HostId) -> Vec<String> {
    let mut subjects = Vec::new();
    for durable in durables(worker, host) {
        let (stream, name) = (durable.stream().as_str(), durable.name());
        subjects.push(format!("$JS.API.CONSUMER.INFO.{stream}.{name}"));
        subjects.push(format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"));
        subjects.push(format!("$JS.ACK.{stream}.{name}.>"));
    }
    let siem = StreamName::Siem.as_str();
    let health = StreamName::Health.as_str();
    let more = |texts: &[&str]| {
        texts.iter().map(|text| text.replace("SIEM", siem).replace("HEALTH", health)).collect::<Vec<_>>()
    };
    subjects.extend(match worker {
        // The panel's memory: the last beat of each worker.
        Worker::Api | Worker::Cli => more(&["$JS.API.DIRECT.GET.HEALTH", "$JS.API.DIRECT.GET.HEALTH.>"]),
        // One consumer a subscription, made and removed with it.
        Worker::Webhook => more(&[
            "$JS.API.STREAM.INFO.SIEM",
            "$JS.API.CONSUMER.CREATE.SIEM.>",
            "$JS.API.CONSUMER.DURABLE.CREATE.SIEM.*",
            "$JS.API.CONSUMER.DELETE.SIEM.*",
            "$JS.API.CONSUMER.INFO.SIEM.*",
            "$JS.API.CONSUMER.NAMES.SIEM",
            "$JS.API.CONSUMER.LIST.SIEM",
            "$JS.API.CONSUMER.MSG.NEXT.SIEM.*",
            "$JS.ACK.SIEM.>",
        ]),
        Worker::Migrate => more(&[
            "$JS.API.INFO",
            "$JS.API.STREAM.CREATE.*",
            "$JS.API.STREAM.UPDATE.*",
            "$JS.API.STREAM.INFO.*",
            "$JS.API.STREAM.NAMES",
            "$JS.API.STREAM.LIST",
            "$JS.API.CONSUMER.CREATE.>",
            "$JS.API.CONSUMER.DURABLE.CREATE.>",
            "$JS.API.CONSUMER.DELETE.>",
            "$JS.API.CONSUMER.INFO.>",
            "$JS.API.CONSUMER.NAMES.*",
            "$JS.API.CONSUMER.LIST.*",
        ]),
        _ => Vec::new(),
    });
    subjects
}

/// The durables of a worker.
fn durables(worker: Worker, host: &HostId) -> Vec<Durable> {
    let own = match worker {
        Worker::Collector => Some(Durable::collector()),
        Worker::Agent => Some(Durable::agent(host)),
        _ => None,
    };
    own.into_iter().chain(Durable::events(worker)).collect()
}

/// Everyone who has a key on the broker of this release.
pub fn holders() -> impl Iterator<Item = Worker> {
    let workers = Worker::BUILT.iter().copied().filter(|worker| *worker != Worker::Bus);
    workers.chain(Worker::CLIENTS.iter().copied())
}

/// The accounts of the broker's configuration: one user a key, `(holder, public key)`.
pub fn render_accounts(users: &[(Worker, String)], host: &HostId) -> String {
    let mut text = format!("accounts {{\n  {ACCOUNT} {{\n    jetstream: enabled\n    users: [\n");
    for (worker, public) in users {
        let rights = Permissions::of(*worker, host);
        let denied = list(DENIED.iter().copied());
        let answers = rights.answers_within.map_or_else(String::new, |within| {
            format!("        allow_responses: {{ max: 1, expires: \"{}s\" }}\n", within.as_secs())
        });
        let written = write!(
            text,
            "      # {worker}\n      {{ nkey: {public}, permissions: {{\n        publish: {{\n          allow: {}\n          \
             deny: {denied}\n        }}\n        subscribe: {{\n          allow: {}\n          deny: [\"$SYS.>\"]\n        \
             }}\n{answers}      }} }}\n",
            list(rights.publish.iter().map(String::as_str)),
            list(rights.subscribe.iter().map(String::as_str)),
        );
        debug_assert!(written.is_ok(), "a String takes everything");
    }
    text.push_str("    ]\n  }\n");
    let _ = write!(text, "  {SYSTEM_ACCOUNT} {{ users: [] }}\n}}\nsystem_account: {SYSTEM_ACCOUNT}\n");
    text
}

fn list<'a>(subjects: impl Iterator<Item = &'a str>) -> String {
    let lines: Vec<_> = subjects.map(|subject| format!("            \"{subject}\"")).collect();
    format!("[\n{}\n          ]", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::covers;

    fn of(worker: Worker) -> Permissions {
        Permissions::of(worker, &HostId::default())
    }

    fn may(list: &[String], subject: &str) -> bool {
        list.iter().any(|filter| covers(filter, subject))
    }

    #[test]
    fn only_api_and_operator_give_orders_and_only_the_agent_reads_commands() {
        for worker in holders() {
            let rights = of(worker);
            let orders = matches!(worker, Worker::Api | Worker::Cli);
            // The reconciler has the agent remove what runs and is not deployed.
            let removals = orders || worker == Worker::Reconciler;
            for (order, may_give) in [
                ("decnet.system.local.agent.control", orders),
                ("decnet.cmd.deploy.local", orders),
                ("decnet.cmd.teardown.local", removals),
            ] {
                assert_eq!(may(&rights.publish, order), may_give, "{worker} {order}");
            }
            let next = "$JS.API.CONSUMER.MSG.NEXT.COMMANDS.agent-local";
            assert_eq!(may(&rights.publish, next), worker == Worker::Agent, "{worker}");
            for read in ["decnet.cmd.deploy.local", "decnet.ingest.local.web", "$SYS.REQ.SERVER.PING"] {
                assert!(!may(&rights.subscribe, read), "{worker} {read}");
            }
            assert!(!may(&rights.subscribe, "_INBOX_other.x"), "{worker}");
        }
    }

    #[test]
    fn streams_are_made_by_the_provisioner_and_consumers_of_siem_by_the_webhook_worker() {
        for worker in holders() {
            let rights = of(worker);
            let provisions = worker == Worker::Migrate;
            assert_eq!(may(&rights.publish, "$JS.API.STREAM.CREATE.EVENTS"), provisions, "{worker}");
            assert_eq!(may(&rights.publish, "$JS.API.CONSUMER.CREATE.EVENTS.x"), provisions, "{worker}");
            let siem = may(&rights.publish, "$JS.API.CONSUMER.CREATE.SIEM.wh_1.decnet.>");
            assert_eq!(siem, provisions || worker == Worker::Webhook, "{worker}");
            for never in ["$JS.API.STREAM.DELETE.EVENTS", "$JS.API.STREAM.PURGE.EVENTS", "$SYS.REQ.X"] {
                assert!(!may(&rights.publish, never), "{worker} {never}");
            }
        }
    }

    #[test]
    fn an_agent_speaks_for_its_own_host_only() {
        let host = HostId::parse("7f1d4a52-6b0c-4d5e-8f4e-1c2b3a4d5e6f").unwrap();
        let rights = Permissions::of(Worker::Agent, &host);
        assert!(may(&rights.publish, &format!("decnet.ingest.{host}.web")));
        assert!(!may(&rights.publish, "decnet.ingest.local.web"));
        assert!(may(&rights.subscribe, &format!("decnet.ask.inspect.{host}")));
        assert!(!may(&rights.subscribe, "decnet.ask.inspect.local"));
        assert!(rights.answers_within > of(Worker::Collector).answers_within);
    }
}
