//! The queue of commands: one at a time, acknowledged once done, so that a command survives the agent's death.
//!
//! Every command bears repetition: one that was cut short or whose acknowledgement was lost is carried out again.

use std::{sync::Arc, time::Duration};

use decnet_bus::{
    Delivered, Durable, Topic,
    payload::{DeployCommand, TeardownCommand, TeardownScope},
};
use decnet_fleet::Plan;
use decnet_kit::{Backoff, Ctx};
use futures_util::FutureExt;

use crate::engine::{Engine, Failure, Report};

/// How long one fetch waits for a command.
const FETCH: Duration = Duration::from_secs(5);
/// How often the broker is told that a command is still being carried out; its patience is a minute.
const STILL_AT_IT: Duration = Duration::from_secs(15);

/// Carries out commands until the worker stops.
pub(crate) async fn run(ctx: Ctx, engine: Arc<Engine>) -> anyhow::Result<()> {
    let mut consumer = ctx.bus().consume(Durable::agent(&ctx.settings().host)).await;
    let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));
    let mut complaint = String::new();
    loop {
        let fetched = tokio::select! {
            biased;
            () = ctx.stopping() => return Ok(()),
            fetched = consumer.fetch(1, FETCH) => fetched,
        };
        match fetched {
            Ok(commands) => {
                backoff.reset();
                complaint.clear();
                for command in &commands {
                    if let Err(reason) = carry_out(&ctx, &engine, command).await {
                        refuse(command, &reason).await;
                    }
                }
            }
            Err(error) => {
                let text = error.to_string();
                if text != complaint {
                    tracing::warn!(%error, "no commands can be fetched; trying again");
                    complaint = text;
                }
                tokio::select! {
                    biased;
                    () = ctx.stopping() => return Ok(()),
                    () = tokio::time::sleep(backoff.delay()) => {}
                }
            }
        }
    }
}

/// Carries out one command and says how it ended; an error means that it cannot even be read.
async fn carry_out(ctx: &Ctx, engine: &Engine, command: &Delivered) -> Result<(), String> {
    let (report, order) = read(ctx, command)?;
    tracing::info!(
        operation = report.operation,
        requested_by = report.requested_by,
        delivery = command.delivery,
        order = order.word(),
        "carrying out a command"
    );
    let mut work = order.carry_out(engine, &report).boxed();
    let mut still = tokio::time::interval(STILL_AT_IT);
    let outcome = loop {
        tokio::select! {
            biased;
            () = ctx.stopping() => {
                tracing::warn!(operation = report.operation, "a command is cut short; the next agent carries it out");
                give_back(command).await;
                return Ok(());
            }
            outcome = &mut work => break outcome,
            _ = still.tick() => {
                if let Err(error) = command.progress().await {
                    tracing::debug!(%error, "the broker does not hear that the command goes on");
                }
            }
        }
    };
    match &outcome {
        Ok(summary) => tracing::info!(operation = report.operation, summary, "a command is done"),
        Err(reason) => tracing::error!(operation = report.operation, reason, "a command failed"),
    }
    // Acknowledged before the result is told: whoever hears it may rely on it not being done once more.
    if let Err(error) = command.ack().await {
        tracing::warn!(%error, "a command that is done may come again, which changes nothing");
    }
    report.end(outcome).await;
    Ok(())
}

/// A command that cannot be read never can: it must not come again.
async fn refuse(command: &Delivered, reason: &str) {
    tracing::error!(reason, "a command cannot be read and is dropped");
    if let Err(error) = command.term().await {
        tracing::warn!(%error, "it may come again");
    }
}

async fn give_back(command: &Delivered) {
    if let Err(error) = command.nak(Duration::ZERO).await {
        tracing::debug!(%error, "the command comes again once the broker's patience is over");
    }
}

enum Order {
    Deploy(Result<Box<Plan>, Failure>),
    Teardown(TeardownScope),
}

impl Order {
    fn word(&self) -> &'static str {
        match self {
            Self::Deploy(_) => "deploy",
            Self::Teardown(TeardownScope::All) => "teardown of all",
            Self::Teardown(TeardownScope::One(_)) => "teardown of one",
        }
    }

    async fn carry_out(self, engine: &Engine, report: &Report) -> Result<String, Failure> {
        match self {
            Self::Deploy(plan) => engine.deploy(*plan?, report).await,
            Self::Teardown(TeardownScope::All) => engine.teardown_all(report).await,
            Self::Teardown(TeardownScope::One(name)) => engine.teardown_one(&name, report).await,
        }
    }
}

fn read(ctx: &Ctx, command: &Delivered) -> Result<(Report, Order), String> {
    let (operation, requested_by, order) = match &command.topic {
        Topic::CmdDeploy { .. } => {
            let deploy: DeployCommand = command.decode().map_err(|error| error.to_string())?;
            // A plan that cannot be read fails the operation by name, so that whoever waits for it is told.
            let plan = serde_json::from_value(deploy.plan).map(Box::new).map_err(|error| {
                format!(
                    "the plan cannot be read ({error}): are the operator's tool and the agent of one version?"
                )
            });
            (deploy.operation, deploy.requested_by, Order::Deploy(plan))
        }
        Topic::CmdTeardown { .. } => {
            let teardown: TeardownCommand = command.decode().map_err(|error| error.to_string())?;
            (teardown.operation, teardown.requested_by, Order::Teardown(teardown.scope))
        }
        other => return Err(format!("{other} is no command of the agent")),
    };
    let report = Report::new(ctx, operation, requested_by).map_err(|error| error.to_string())?;
    Ok((report, order))
}
