//! Pulling from a durable consumer.
//!
//! The pull protocol is spoken here rather than through `async-nats`' batches, for three reasons: a worker needs
//! no other right than `CONSUMER.INFO` and `CONSUMER.MSG.NEXT` of its own consumer; a message that arrives after
//! its fetch was given up is handed to the next fetch instead of waiting for its redelivery; and a broken
//! connection ends a fetch at once.

use std::{sync::Arc, time::Duration};

use async_nats::{
    Client, Message, StatusCode, Subject, Subscriber,
    jetstream::{self, AckKind, ErrorCode, consumer::pull, stream::ConsumerErrorKind},
};
use futures_util::{FutureExt, StreamExt};
use serde_json::json;
use tokio::{sync::watch, time::Instant};

use super::{NatsLink, link, origin_of};
use crate::{
    AckError, BusStatus, Durable, FetchError, StreamName,
    consumer::{AckHandle, RawDelivered, Verdict},
};

/// How much longer than asked the server may take before we give up on its answer.
const GRACE: Duration = Duration::from_secs(2);

pub(crate) struct NatsConsumer {
    line: Arc<Line>,
    jetstream: jetstream::Context,
    stream: StreamName,
    durable: String,
    inbox: String,
    messages: Option<Subscriber>,
    pulls: u64,
    /// The connection on which the consumer was last seen to exist.
    verified: Option<u64>,
}

/// What acknowledgements travel on; shared by all messages of a consumer.
struct Line {
    client: Client,
    status: watch::Receiver<BusStatus>,
}

/// Why a pull came to its end.
enum Ended {
    Full,
    Exhausted,
    Refused(String),
    Lost,
}

impl NatsConsumer {
    pub(super) async fn open(link: &NatsLink, durable: &Durable) -> Self {
        let inbox = link.client.new_inbox();
        let messages = link.client.subscribe(format!("{inbox}.*")).await.ok();
        Self {
            line: Arc::new(Line { client: link.client.clone(), status: link.status() }),
            jetstream: link.jetstream.clone(),
            stream: durable.stream(),
            durable: durable.name().to_owned(),
            inbox,
            messages,
            pulls: 0,
            verified: None,
        }
    }

    pub(crate) async fn fetch(
        &mut self,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<RawDelivered>, FetchError> {
        let until = Instant::now() + wait;
        let connects = link::connected(&self.line.status, until).await.ok_or(FetchError::Disconnected)?;
        self.verify(connects).await?;

        let mut batch = self.left_over(max);
        if batch.is_empty() {
            let ended = self.pull(max, None, connects, &mut batch).await;
            self.conclude(ended, &batch)?;
        }
        let left = until.saturating_duration_since(Instant::now());
        if batch.is_empty() && left > Duration::ZERO {
            let ended = self.pull(1, Some(left), connects, &mut batch).await;
            self.conclude(ended, &batch)?;
            if max > 1 && !batch.is_empty() {
                let ended = self.pull(max - 1, None, connects, &mut batch).await;
                self.conclude(ended, &batch)?;
            }
        }
        Ok(batch.into_iter().map(|message| self.delivered(message)).collect())
    }

    /// A missing consumer does not answer at all, so once per connection it is looked for.
    async fn verify(&mut self, connects: u64) -> Result<(), FetchError> {
        if self.verified == Some(connects) {
            return Ok(());
        }
        let question = self
            .jetstream
            .get_consumer_from_stream::<pull::Config, _, _>(&self.durable, self.stream.as_str());
        let answer = tokio::select! {
            answer = question => answer,
            () = link::lost(self.line.status.clone(), connects) => return Err(FetchError::Disconnected),
        };
        let Err(error) = answer else {
            self.verified = Some(connects);
            return Ok(());
        };
        Err(match error.kind() {
            ConsumerErrorKind::JetStream(error)
                if matches!(
                    error.error_code(),
                    ErrorCode::CONSUMER_NOT_FOUND | ErrorCode::STREAM_NOT_FOUND
                ) =>
            {
                FetchError::NotProvisioned { stream: self.stream, durable: self.durable.clone() }
            }
            ConsumerErrorKind::TimedOut => FetchError::Disconnected,
            _ => FetchError::Refused { durable: self.durable.clone(), reason: error.to_string() },
        })
    }

    /// Messages of pulls whose fetch was given up.
    fn left_over(&mut self, max: usize) -> Vec<Message> {
        let mut batch = Vec::new();
        let Some(messages) = &mut self.messages else { return batch };
        while batch.len() < max {
            match messages.next().now_or_never() {
                Some(Some(message)) if message.status.is_none() => batch.push(message),
                Some(Some(_)) => {}
                Some(None) | None => break,
            }
        }
        batch
    }

    /// One pull: what is there (`wait` is `None`), or whatever comes first within `wait`.
    async fn pull(
        &mut self,
        max: usize,
        wait: Option<Duration>,
        connects: u64,
        batch: &mut Vec<Message>,
    ) -> Ended {
        self.pulls += 1;
        let reply = format!("{}.{}", self.inbox, self.pulls);
        let question = match wait {
            None => json!({"batch": max, "no_wait": true}),
            Some(wait) => {
                json!({"batch": max, "expires": u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)})
            }
        };
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", self.stream.as_str(), self.durable);
        let sent =
            self.line.client.publish_with_reply(subject, reply.clone(), question.to_string().into()).await;
        let Some(messages) = self.messages.as_mut().filter(|_| sent.is_ok()) else { return Ended::Lost };

        let deadline = Instant::now() + wait.unwrap_or_default() + GRACE;
        let wanted = batch.len() + max;
        let lost = link::lost(self.line.status.clone(), connects);
        tokio::pin!(lost);
        while batch.len() < wanted {
            let next = tokio::select! {
                biased;
                next = tokio::time::timeout_at(deadline, messages.next()) => next,
                () = &mut lost => return Ended::Lost,
            };
            let message = match next {
                Ok(Some(message)) => message,
                Ok(None) => return Ended::Lost,
                // Silence: look whether the consumer still exists before the next pull.
                Err(_) => {
                    self.verified = None;
                    return Ended::Exhausted;
                }
            };
            match message.status {
                None | Some(StatusCode::OK) => batch.push(message),
                Some(StatusCode::IDLE_HEARTBEAT) => {}
                // The end of an earlier pull says nothing about this one.
                Some(_) if message.subject.as_str() != reply => {}
                Some(StatusCode::NOT_FOUND | StatusCode::TIMEOUT) => return Ended::Exhausted,
                Some(StatusCode::NO_RESPONDERS) => {
                    self.verified = None;
                    return Ended::Refused("JetStream does not answer".to_owned());
                }
                Some(status) => {
                    let reason = message.description.unwrap_or_default();
                    // Above max_ack_pending: what is out has to be acknowledged first.
                    if reason.contains("Exceeded Max") || reason.contains("MaxAckPending") {
                        return Ended::Exhausted;
                    }
                    self.verified = None;
                    return Ended::Refused(format!("{status} {reason}"));
                }
            }
        }
        Ended::Full
    }

    /// What was brought is handed out whatever happened afterwards.
    fn conclude(&self, ended: Ended, batch: &[Message]) -> Result<(), FetchError> {
        match ended {
            _ if !batch.is_empty() => Ok(()),
            Ended::Full | Ended::Exhausted => Ok(()),
            Ended::Lost => Err(FetchError::Disconnected),
            Ended::Refused(reason) => Err(FetchError::Refused { durable: self.durable.clone(), reason }),
        }
    }

    fn delivered(&self, message: Message) -> RawDelivered {
        let origin = origin_of(message.headers.as_ref());
        let message = jetstream::Message { message, context: self.jetstream.clone() };
        let (delivery, sequence) = message
            .info()
            .map_or((1, 0), |info| (u64::try_from(info.delivered).unwrap_or(1), info.stream_sequence));
        let message = message.message;
        RawDelivered {
            subject: message.subject.to_string(),
            origin,
            body: message.payload,
            delivery,
            sequence,
            ack: AckHandle::Nats(NatsAck { line: Arc::clone(&self.line), reply: message.reply }),
        }
    }
}

pub(crate) struct NatsAck {
    line: Arc<Line>,
    reply: Option<Subject>,
}

impl NatsAck {
    pub(crate) async fn give(&self, verdict: Verdict) -> Result<(), AckError> {
        let reply = self.reply.clone().ok_or(AckError)?;
        if !self.line.status.borrow().is_connected() {
            return Err(AckError);
        }
        let kind = match verdict {
            Verdict::Ack => AckKind::Ack,
            Verdict::Nak(delay) => AckKind::Nak(Some(delay)),
            Verdict::Term => AckKind::Term,
            Verdict::Progress => AckKind::Progress,
        };
        let sending = tokio::time::timeout(GRACE, self.line.client.publish(reply, kind.into()));
        sending.await.map_err(|_| AckError)?.map_err(|_| AckError)
    }
}
