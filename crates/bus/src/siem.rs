//! Consumers of `SIEM`: one durable a webhook subscription, made, changed and removed by the webhook worker, which alone may
//! do that and on this stream only. What a subscription wants is decided in `alerts`; what is sent, in the worker.

use std::time::Duration;

use chrono::{DateTime, Utc};
use decnet_alerts::{KnownTopic, Selection};
use uuid::Uuid;

use crate::{
    Bus, Delivery, Durable, Field, ProvisionError, StreamName, Token, TopicFilter, TopicKind, bus::Link,
};

/// What the names of these consumers begin with.
const PREFIX: &str = "wh_";
/// Messages on their way to a receiver that takes them in any order.
const UNORDERED: u32 = 8;
/// How long a connection may be waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a consumer of `SIEM` stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SiemPosition {
    /// Everything of the stream up to here is settled.
    pub settled: u64,
    /// Events that wait, those under way included.
    pub waiting: u64,
}

/// The rows of the table that have a public name.
fn public_rows() -> impl Iterator<Item = TopicKind> {
    TopicKind::ALL.iter().copied().filter(|kind| kind.spec().public.is_some())
}

/// The public topics as subscriptions see them. Orders, commands, questions and raw lines are not among them.
pub fn public_topics() -> Vec<KnownTopic> {
    public_rows()
        .filter_map(|kind| {
            let row = kind.spec();
            Some(KnownTopic { public: row.public?, streamed: row.class == Delivery::Stream })
        })
        .collect()
}

/// The filter of a selection that was resolved against [`public_topics`].
fn filter_of(selection: &Selection) -> TopicFilter {
    let rows: Vec<_> = public_rows().collect();
    selection
        .choices
        .iter()
        .filter_map(|choice| {
            let row = TopicFilter::kind(*rows.get(choice.topic)?);
            choice.bound.iter().try_fold(row, |filter, (field, value)| {
                Some(filter.bind(Field::parse(field)?, Token::parse(value).ok()?))
            })
        })
        .reduce(TopicFilter::or)
        .unwrap_or_else(|| TopicFilter::kinds([]))
}

impl Durable {
    /// The name of a subscription's consumer.
    pub fn webhook_name(subscription: Uuid) -> String {
        format!("{PREFIX}{}", subscription.simple())
    }

    /// The consumer of a subscription: one message at a time where order counts, else eight.
    pub fn webhook(subscription: Uuid, selection: &Selection, ordered: bool) -> Self {
        Self::siem(
            Self::webhook_name(subscription),
            filter_of(selection),
            if ordered { 1 } else { UNORDERED },
        )
    }
}

impl Bus {
    /// Brings the consumer of a subscription to `durable`. One that exists keeps its position, so that a change of its filter
    /// loses and repeats nothing; a new one begins behind message `settled` where that is known, else with what was stored
    /// since `since`.
    pub async fn put_siem(
        &self,
        durable: &Durable,
        since: DateTime<Utc>,
        settled: Option<u64>,
    ) -> Result<SiemPosition, ProvisionError> {
        if durable.stream() != StreamName::Siem || durable.filter().subjects().is_empty() {
            return Err(ProvisionError::Refused {
                what: durable.name().to_owned(),
                reason: "a subscription's consumer reads SIEM, and at least one topic of it".to_owned(),
            });
        }
        match self.link() {
            Link::Off(_) => Err(ProvisionError::Disabled),
            Link::Memory(link) => link.put_siem(durable),
            Link::Nats(link) => {
                self.reachable().await?;
                link.put_siem(durable, since, settled).await
            }
        }
    }

    /// Removes the consumer of a subscription that is gone; harmless to repeat.
    pub async fn remove_siem(&self, name: &str) -> Result<(), ProvisionError> {
        if !name.starts_with(PREFIX) {
            return Ok(());
        }
        match self.link() {
            Link::Off(_) => Err(ProvisionError::Disabled),
            Link::Memory(link) => link.remove_siem(name),
            Link::Nats(link) => {
                self.reachable().await?;
                link.remove_siem(name).await
            }
        }
    }

    /// The names of all consumers that subscriptions have.
    pub async fn siem_names(&self) -> Result<Vec<String>, ProvisionError> {
        let mut names = match self.link() {
            Link::Off(_) => return Err(ProvisionError::Disabled),
            Link::Memory(link) => link.siem_names()?,
            Link::Nats(link) => {
                self.reachable().await?;
                link.siem_names().await?
            }
        };
        names.retain(|name| name.starts_with(PREFIX));
        Ok(names)
    }

    async fn reachable(&self) -> Result<(), ProvisionError> {
        if self.connected_within(PATIENCE).await { Ok(()) } else { Err(ProvisionError::Disconnected) }
    }
}

#[cfg(test)]
mod tests {
    use decnet_alerts::{Pattern, SimpleEvent, merge};

    use super::*;

    fn subjects(patterns: &[&str]) -> Vec<String> {
        let patterns: Vec<_> = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        filter_of(&Selection::resolve(&patterns, &public_topics())).subjects()
    }

    #[test]
    fn public_names_become_the_subjects_of_every_host() {
        assert_eq!(subjects(&["canary.*.triggered"]), ["decnet.canary.*.*.triggered"]);
        assert_eq!(subjects(&["decky.local:web.state"]), ["decnet.decky.*.local:web.state"]);
        assert_eq!(
            subjects(&["decky.a.state", "decky.b.state"]),
            ["decnet.decky.*.a.state", "decnet.decky.*.b.state"]
        );
        assert_eq!(subjects(&["orchestrator.*.x"]).len(), 3);
    }

    #[test]
    fn nothing_but_streamed_topics_can_be_wished_for() {
        let all = subjects(&[">"]);
        assert!(all.len() > 20);
        for subject in &all {
            assert!(
                !["cmd", "ask", "ingest", "notice", "system"].contains(&subject.split('.').nth(1).unwrap()),
                "{subject}"
            );
        }
        for vain in
            ["cmd.>", "ask.>", "ingest.>", "notice.>", "decnet.>", "system.*.control", "system.>", "$JS.>"]
        {
            assert!(subjects(&[vain]).is_empty(), "{vain}");
        }
    }

    #[test]
    fn every_simple_choice_matches_known_topics_and_all_but_one_can_be_delivered() {
        for event in SimpleEvent::ALL {
            let selection = Selection::resolve(&merge(&[*event], &[]), &public_topics());
            assert_eq!(selection.vain().count(), 0, "{event:?}");
            assert_eq!(selection.choices.is_empty(), *event == SimpleEvent::SystemStatus, "{event:?}");
        }
    }

    #[test]
    fn no_two_filters_of_a_consumer_overlap() {
        let all = subjects(&["attacker.observed", ">", "canary.x.placed", "decky.*.state", "decky.y.>"]);
        for (at, one) in all.iter().enumerate() {
            for (other_at, other) in all.iter().enumerate() {
                assert!(at == other_at || !crate::topic::covers(one, other), "{one} covers {other}");
            }
        }
    }
}
