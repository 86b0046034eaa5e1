//! Requests and their answers: JSON both ways. An answer is `{"ok": …}` or `{"error": "…"}`, so that an error
//! of the other side arrives as its own sentence.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::Stream;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tracing::warn;

use crate::{Bus, PublishError, RequestError, Topic, ring::RingReader, wire::Incoming};

/// A stream of [`Request`].
pub struct Requests {
    reader: RingReader<Incoming>,
    bus: Bus,
}

/// A question that waits for its answer.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub topic: Topic,
    /// The question as JSON.
    pub body: Bytes,
    reply: String,
    bus: Bus,
}

impl Requests {
    pub(crate) const fn new(reader: RingReader<Incoming>, bus: Bus) -> Self {
        Self { reader, bus }
    }

    /// The next question; `None` once the bus is drained or switched off.
    pub async fn recv(&mut self) -> Option<Request> {
        std::future::poll_fn(|context| self.poll_request(context)).await
    }

    fn poll_request(&mut self, context: &mut Context<'_>) -> Poll<Option<Request>> {
        loop {
            let Poll::Ready(next) = self.reader.poll_next(context) else { return Poll::Pending };
            let Some(message) = next else { return Poll::Ready(None) };
            match (Topic::parse(&message.subject), message.reply) {
                (Ok(topic), Some(reply)) => {
                    let request = Request { topic, body: message.body, reply, bus: self.bus.clone() };
                    return Poll::Ready(Some(request));
                }
                (Ok(topic), None) => warn!(%topic, "a request without a reply address was dropped"),
                (Err(error), _) => warn!(%error, "a request was dropped"),
            }
        }
    }
}

impl Stream for Requests {
    type Item = Request;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Request>> {
        self.get_mut().poll_request(context)
    }
}

impl Request {
    /// The question as its struct; the error is fit to be the answer.
    pub fn read<Q: DeserializeOwned>(&self) -> Result<Q, String> {
        serde_json::from_slice(&self.body)
            .map_err(|error| format!("the question on {} cannot be read: {error}", self.topic.subject()))
    }

    /// Answers. A failure to send is reported and otherwise ignored: the asker's patience ends by itself.
    pub async fn respond<R: Serialize>(self, answer: Result<R, String>) {
        let body = match answer {
            Ok(value) => serde_json::to_vec(&Answer { ok: Some(value), error: None }),
            Err(text) => serde_json::to_vec(&Answer::<()> { ok: None, error: Some(text) }),
        };
        let sent = match body {
            Ok(body) => self.bus.respond(self.reply, body.into()).await,
            Err(error) => Err(PublishError::BadPayload { subject: self.reply, reason: error.to_string() }),
        };
        if let Err(error) = sent {
            warn!(topic = %self.topic.subject(), %error, "an answer was lost");
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Answer<R> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<R>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(crate) fn read_answer<R: DeserializeOwned>(topic: &Topic, body: &[u8]) -> Result<R, RequestError> {
    let bad = |reason: String| RequestError::BadMessage { topic: topic.subject(), reason };
    let answer: Answer<serde_json::Value> =
        serde_json::from_slice(body).map_err(|error| bad(format!("the answer cannot be read: {error}")))?;
    match answer {
        Answer { error: Some(text), .. } => Err(RequestError::Remote(text)),
        Answer { ok, error: None } => serde_json::from_value(ok.unwrap_or_default())
            .map_err(|error| bad(format!("the answer cannot be read: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let topic = Topic::AskInspect { host: decnet_core::HostId::default() };
        assert_eq!(read_answer::<u8>(&topic, br#"{"ok":7}"#).unwrap(), 7);
        read_answer::<()>(&topic, br#"{"ok":null}"#).unwrap();
        assert!(matches!(
            read_answer::<u8>(&topic, br#"{"error":"no such decky"}"#),
            Err(RequestError::Remote(text)) if text == "no such decky"
        ));
        for odd in [&b"nonsense"[..], br#"{"ok":"seven"}"#, b"{}", b""] {
            assert!(matches!(read_answer::<u8>(&topic, odd), Err(RequestError::BadMessage { .. })));
        }
    }
}
