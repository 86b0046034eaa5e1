//! Progress and result of one operation, told on the bus to whoever watches. Nobody has to.

use std::sync::atomic::{AtomicUsize, Ordering};

use decnet_bus::{
    Token, TokenError, Topic,
    payload::{OperationKind, OperationNotice},
};
use decnet_core::DeckyName;
use decnet_kit::Ctx;

/// Where the progress of one operation is told.
pub(crate) struct Report {
    ctx: Ctx,
    topic: Topic,
    /// Its id.
    pub(crate) operation: String,
    /// Who asked.
    pub(crate) requested_by: String,
}

impl Report {
    pub(crate) fn new(ctx: &Ctx, operation: String, requested_by: String) -> Result<Self, TokenError> {
        let topic = Topic::NoticeOperation { operation: Token::parse(&operation)? };
        Ok(Self { ctx: ctx.clone(), topic, operation, requested_by })
    }

    /// Tells how it ended.
    pub(crate) async fn end(&self, outcome: Result<String, String>) {
        self.send(match outcome {
            Ok(summary) => OperationKind::Done { summary },
            Err(reason) => OperationKind::Failed { reason },
        })
        .await;
    }

    async fn send(&self, kind: OperationKind) {
        let notice = OperationNotice { operation: self.operation.clone(), at: self.ctx.now(), kind };
        self.ctx.bus().publish(&self.topic, &notice).await;
    }
}

/// The steps of one operation.
pub(super) struct Steps<'a> {
    report: &'a Report,
    done: AtomicUsize,
    total: usize,
}

impl<'a> Steps<'a> {
    pub(super) fn new(report: &'a Report, total: usize) -> Self {
        Self { report, done: AtomicUsize::new(0), total }
    }

    /// One step was made.
    pub(super) async fn done(&self, decky: &DeckyName, text: &str) {
        self.skip(1);
        self.say(Some(decky), text).await;
    }

    /// Steps that are not made.
    pub(super) fn skip(&self, count: usize) {
        self.done.fetch_add(count, Ordering::Relaxed);
    }

    /// Tells where it stands.
    pub(super) async fn say(&self, decky: Option<&DeckyName>, text: &str) {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (done, total) = (count(self.done.load(Ordering::Relaxed)), count(self.total));
        let (decky, text) = (decky.cloned(), text.to_owned());
        self.report.send(OperationKind::Progress { done, total, decky, text }).await;
    }
}
