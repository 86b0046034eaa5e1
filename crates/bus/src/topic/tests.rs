//! The table as a whole, and the properties of spec 17.3.7.

use std::collections::HashSet;

use decnet_core::DeckyName;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn host() -> impl Strategy<Value = HostId> {
    prop_oneof![
        Just(HostId::default()),
        any::<u128>().prop_map(|n| HostId::parse(&Uuid::from_u128(n).to_string()).unwrap()),
    ]
}

fn token() -> impl Strategy<Value = Token> {
    let text = proptest::string::string_regex("[^.*>\\s\\p{Cc}]{1,40}").unwrap();
    prop_oneof![
        text.prop_filter_map("too long", |text| Token::parse(&text).ok()),
        any::<u128>().prop_map(|n| Token::from(Uuid::from_u128(n))),
        (host(), "[a-z0-9]{1,20}")
            .prop_map(|(host, name)| { Token::from(&DeckyId::new(host, DeckyName::parse(&name).unwrap())) }),
    ]
}

/// A topic of any row, with any tokens.
fn topic() -> impl Strategy<Value = Topic> {
    (0..TopicKind::ALL.len(), host(), token(), "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?").prop_map(
        |(row, host, token, name)| {
            let kind = TopicKind::ALL[row];
            let value = |field: &str| match (kind, field) {
                (_, "host") => Some(host.as_str()),
                (TopicKind::Ingest, "decky") => Some(name.as_str()),
                _ => Some(token.as_str()),
            };
            Topic::assemble(kind, &value).unwrap()
        },
    )
}

proptest! {
    #[test]
    fn a_subject_reads_back_as_its_topic(topic in topic()) {
        prop_assert_eq!(Topic::parse(&topic.subject()).unwrap(), topic.clone());
        let spec = topic.spec();
        prop_assert!(covers(&spec.wildcard(), &topic.subject()));
    }

    #[test]
    fn a_public_name_reads_back_as_its_topic(topic in topic()) {
        if let Some(public) = topic.public() {
            let host = topic.field("host").map_or_else(HostId::default, |host| HostId::parse(host).unwrap());
            prop_assert_eq!(Topic::from_public(&public, &host).unwrap(), topic);
        }
    }

    #[test]
    fn a_filter_takes_exactly_its_topics(one in topic(), other in topic()) {
        let filter = TopicFilter::exact(&one);
        prop_assert_eq!(filter.subjects(), vec![one.subject()]);
        prop_assert!(filter.matches(&one));
        prop_assert_eq!(filter.matches(&other), one == other);
        let kind = TopicFilter::kind(one.kind());
        prop_assert_eq!(kind.matches(&other), kind.subjects().iter().any(|f| covers(f, &other.subject())));
    }

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,200}") {
        if let Ok(topic) = Topic::parse(&text) {
            prop_assert_eq!(topic.subject(), text);
        }
    }
}

#[test]
fn no_subject_fits_two_rows() {
    for one in TopicKind::ALL {
        for other in TopicKind::ALL.iter().filter(|other| *other != one) {
            assert!(!overlap(one.spec().pattern, other.spec().pattern), "{one:?} and {other:?}");
            if let (Some(a), Some(b)) = (one.spec().public, other.spec().public) {
                assert!(!overlap(a, b), "public names of {one:?} and {other:?}");
            }
        }
    }
}

/// Whether some text fits both patterns. `system.webhook.subscriptions_changed` beside `system.{worker}.health` is
/// fine, `system.{worker}.health` beside `system.log.health` would not be.
fn overlap(a: &str, b: &str) -> bool {
    let (a, b): (Vec<_>, Vec<_>) = (a.split('.').collect(), b.split('.').collect());
    a.len() == b.len()
        && a.iter().zip(&b).all(|(a, b)| a == b || field_of(a).is_some() || field_of(b).is_some())
}

#[test]
fn fields_are_known_and_literals_are_tokens() {
    let known: HashSet<_> =
        [Field::Host, Field::Decky, Field::Worker, Field::Token, Field::Topology, Field::Operation]
            .map(Field::as_str)
            .into();
    for kind in TopicKind::ALL {
        for part in kind.spec().pattern.split('.') {
            match field_of(part) {
                Some(field) => assert!(known.contains(field), "{kind:?}: {field}"),
                None => assert!(Token::parse(part).is_ok(), "{kind:?}: {part}"),
            }
        }
    }
}

#[test]
fn the_names_of_the_specification_are_kept() {
    let host = HostId::default();
    let decky = Token::from(&DeckyId::new(host.clone(), DeckyName::parse("web-01").unwrap()));
    let worker = Worker::Clusterer.token();
    for (topic, subject, public) in [
        (Topic::AttackerObserved, "decnet.attacker.observed", Some("attacker.observed")),
        (
            Topic::DeckyState { host: host.clone(), decky: decky.clone() },
            "decnet.decky.local.local:web-01.state",
            Some("decky.local:web-01.state"),
        ),
        (
            Topic::OrchestratorFile { host: host.clone(), decky },
            "decnet.orchestrator.local.file.local:web-01",
            Some("orchestrator.file.local:web-01"),
        ),
        (
            Topic::SystemHealth { host: host.clone(), worker: worker.clone() },
            "decnet.system.local.clusterer.health",
            Some("system.clusterer.health"),
        ),
        (Topic::SystemControl { host: host.clone(), worker }, "decnet.system.local.clusterer.control", None),
        (
            Topic::Ingest { host: host.clone(), decky: DeckyName::parse("web-01").unwrap() },
            "decnet.ingest.local.web-01",
            None,
        ),
        (Topic::CmdDeploy { host }, "decnet.cmd.deploy.local", None),
        (
            Topic::IdentityCampaignAssigned,
            "decnet.identity.campaign.assigned",
            Some("identity.campaign.assigned"),
        ),
    ] {
        assert_eq!(topic.subject(), subject);
        assert_eq!(topic.public().as_deref(), public);
    }
}

#[test]
fn nobody_is_woken_by_what_only_he_publishes() {
    for kind in TopicKind::ALL {
        let row = kind.spec();
        for worker in row.wakes {
            assert!(row.producers != [*worker], "{kind:?} wakes its own producer");
        }
    }
}

#[test]
fn foreign_subjects_are_refused() {
    for text in [
        "",
        "decnet",
        "decnet.",
        "attacker.observed",
        "decnet.attacker",
        "decnet.attacker.observed.more",
        "decnet.attacker.*",
        "decnet.system.not-a-host.api.health",
        "decnet.system.local..health",
        "decnet.ingest.local.Web-01",
        "$SYS.REQ",
    ] {
        assert!(Topic::parse(text).is_err(), "{text}");
    }
}
