//! The consumers of `SIEM` on the server. See [`crate::siem`].

use async_nats::jetstream::{
    self, ErrorCode,
    consumer::{AckPolicy, Config, DeliverPolicy, Info, pull},
    stream::ConsumerErrorKind,
};
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;

use super::NatsLink;
use crate::{Durable, ProvisionError, SiemPosition, StreamName};

const SIEM: &str = StreamName::Siem.as_str();

impl NatsLink {
    pub(crate) async fn put_siem(
        &self,
        durable: &Durable,
        since: DateTime<Utc>,
        settled: Option<u64>,
    ) -> Result<SiemPosition, ProvisionError> {
        let jetstream = self.jetstream();
        let info = match jetstream.get_consumer_from_stream::<pull::Config, _, _>(durable.name(), SIEM).await
        {
            Ok(consumer) => {
                let info = consumer.cached_info().clone();
                match changed(&info.config, durable) {
                    None => info,
                    Some(config) => jetstream
                        .create_consumer_on_stream(config, SIEM)
                        .await
                        .map_err(|error| refused(durable.name(), &error))?
                        .cached_info()
                        .clone(),
                }
            }
            Err(error) if is_missing(&error) => jetstream
                .create_consumer_on_stream(fresh(durable, since, settled)?, SIEM)
                .await
                .map_err(|error| refused(durable.name(), &error))?
                .cached_info()
                .clone(),
            Err(error) => return Err(refused(durable.name(), &error)),
        };
        Ok(position(&info))
    }

    pub(crate) async fn remove_siem(&self, name: &str) -> Result<(), ProvisionError> {
        match self.jetstream().delete_consumer_from_stream(name, SIEM).await {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(refused(name, &error)),
        }
    }

    pub(crate) async fn siem_names(&self) -> Result<Vec<String>, ProvisionError> {
        let stream =
            self.jetstream().get_stream_no_info(SIEM).await.map_err(|error| refused(SIEM, &error))?;
        stream.consumer_names().try_collect().await.map_err(|error| refused(SIEM, &error))
    }
}

/// The configuration to send, if the one on the server is another. Everything that is not ours to change stays as it is: the
/// server refuses another start of a consumer that exists.
fn changed(now: &Config, durable: &Durable) -> Option<Config> {
    let mut have = now.filter_subjects.clone();
    have.extend((!now.filter_subject.is_empty()).then(|| now.filter_subject.clone()));
    let mut want = durable.filter().subjects();
    have.sort();
    want.sort();
    let pending = i64::from(durable.max_ack_pending());
    if have == want && now.max_ack_pending == pending && now.ack_wait == durable.ack_wait() {
        return None;
    }
    Some(Config {
        filter_subject: String::new(),
        filter_subjects: want,
        max_ack_pending: pending,
        ack_wait: durable.ack_wait(),
        ..now.clone()
    })
}

fn fresh(
    durable: &Durable,
    since: DateTime<Utc>,
    settled: Option<u64>,
) -> Result<pull::Config, ProvisionError> {
    let deliver_policy = match settled {
        Some(settled) => DeliverPolicy::ByStartSequence { start_sequence: settled + 1 },
        None => DeliverPolicy::ByStartTime {
            start_time: async_nats::datetime::from_nanos(i128::from(since.timestamp_micros()) * 1000)
                .map_err(|error| refused(durable.name(), &error))?,
        },
    };
    Ok(pull::Config {
        durable_name: Some(durable.name().to_owned()),
        deliver_policy,
        ack_policy: AckPolicy::Explicit,
        ack_wait: durable.ack_wait(),
        max_ack_pending: i64::from(durable.max_ack_pending()),
        max_deliver: -1,
        filter_subjects: durable.filter().subjects(),
        ..pull::Config::default()
    })
}

fn position(info: &Info) -> SiemPosition {
    let under_way = u64::try_from(info.num_ack_pending).unwrap_or(u64::MAX);
    SiemPosition {
        settled: info.ack_floor.stream_sequence,
        waiting: info.num_pending.saturating_add(under_way),
    }
}

fn is_missing(error: &jetstream::stream::ConsumerError) -> bool {
    matches!(error.kind(), ConsumerErrorKind::JetStream(error) if error.error_code() == ErrorCode::CONSUMER_NOT_FOUND)
}

fn refused(what: &str, reason: &dyn std::fmt::Display) -> ProvisionError {
    ProvisionError::Refused { what: what.to_owned(), reason: reason.to_string() }
}
