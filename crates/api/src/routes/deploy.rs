//! Deploying and removing deckies. The API plans and queues; the agent, which alone may touch the machine, does it.
//!
//! The answer is 202 with the name of the operation. `?wait=true` waits up to two minutes for its end instead.

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
    time::Duration,
};

use axum::{Json, extract::State, http::StatusCode};
use decnet_bus::{
    Subscription, Token, Topic, TopicFilter,
    payload::{
        DeployCommand, HostReply, HostRequest, OperationKind, OperationNotice, Payload, SurveyReply,
        SurveyRequest, TeardownCommand, TeardownScope,
    },
};
use decnet_core::{DeckyName, FleetSecret};
use decnet_fleet::{Draft, HostFacts, Plan, PlanErrors, PlanRequest, RuntimeKind, ini, plan::Step};
use decnet_kit::personas;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    deckies::state_file,
    users::{audit, deployment_limit},
};
use crate::{
    app::App,
    auth::{AdminUser, Caller},
    extract::{Body, Check, Params, PathParam},
    problem::{Failure, FieldError, Outcome, Problem},
};

/// How long the agent may take for an answer; it bounds itself to 8 s.
const ANSWER_BOUND: Duration = Duration::from_secs(9);

/// How long `?wait=true` waits.
pub const LONGEST_WAIT: Duration = Duration::from_mins(2);

/// A deployment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    /// The deployment INI. It replaces the fleet.
    #[schema(min_length = 1, max_length = 524_288)]
    pub ini_content: String,
}

impl Check for DeployRequest {
    fn check(&self, errors: &mut Vec<FieldError>) {
        if self.ini_content.trim().is_empty() {
            errors.push(FieldError::new("ini_content", "give a deployment INI with at least one section"));
        }
    }
}

/// Whether to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WaitParams {
    /// Answer when the operation has ended, or after two minutes.
    wait: Option<bool>,
}

impl Check for WaitParams {
    fn check(&self, _: &mut Vec<FieldError>) {}
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OperationState {
    /// The agent has yet to begin or to end it.
    Queued,
    /// All is as ordered.
    Done,
}

/// An operation that the agent carries out.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperationView {
    /// Its id; progress and result are announced under it.
    pub operation: Uuid,
    /// How far it is.
    pub state: OperationState,
    /// In words.
    pub message: String,
    /// One host or a swarm.
    pub mode: &'static str,
}

/// Deploys the fleet that an INI describes.
#[utoipa::path(
    post, path = "/deckies/deploy", tag = "fleet", request_body = DeployRequest, params(WaitParams),
    responses(
        (status = 200, description = "Done (with `wait=true`)", body = OperationView),
        (status = 202, description = "Queued for the agent", body = OperationView),
        (status = 409, description = "The INI is well-formed and cannot be carried out", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "The agent failed (with `wait=true`)", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn deploy(
    AdminUser(caller): AdminUser,
    State(app): State<App>,
    Params(params): Params<WaitParams>,
    Body(request): Body<DeployRequest>,
) -> Outcome<(StatusCode, Json<OperationView>)> {
    let plan = planned(&app, request.ini_content).await?;
    let limit = deployment_limit(&app.db().await?).await?;
    if plan.deckies.len() > usize::try_from(limit)? {
        let detail = format!("{} deckies are more than the deployment limit of {limit}", plan.deckies.len());
        return Err(Problem::conflict(detail).into());
    }
    let operation = app.ids().next_id();
    let command = DeployCommand {
        operation: operation.to_string(),
        requested_by: caller.user.username.clone(),
        plan: serde_json::to_value(&plan).map_err(Failure::internal)?,
    };
    let topic = Topic::CmdDeploy { host: app.config().host.clone() };
    let wanted = format!("{} deckies", plan.deckies.len());
    ordered(&app, &caller, "deploy", &wanted, operation, &topic, &command, params.wait).await
}

/// Removes one decky.
#[utoipa::path(
    delete, path = "/deckies/{name}", tag = "fleet",
    params(("name" = String, Path, description = "The decky", pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"), WaitParams),
    responses(
        (status = 200, description = "Done (with `wait=true`)", body = OperationView),
        (status = 202, description = "Queued for the agent", body = OperationView),
        (status = 404, description = "Unknown decky", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "The agent failed (with `wait=true`)", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn remove_decky(
    AdminUser(caller): AdminUser,
    State(app): State<App>,
    PathParam(name): PathParam<String>,
    Params(params): Params<WaitParams>,
) -> Outcome<(StatusCode, Json<OperationView>)> {
    let name = DeckyName::parse(&name)
        .map_err(|error| Problem::invalid(vec![FieldError::new("name", error.to_string())]))?;
    let host = app.config().host.clone();
    let deployed = state_file(&app).await?.is_some_and(|state| state.decky(name.as_str()).is_some());
    let mirrored = app.db().await?.fleet().get(host.as_str(), name.as_str()).await?.is_some();
    if !deployed && !mirrored {
        return Err(Problem::not_found("no such decky").into());
    }
    let operation = app.ids().next_id();
    let command = TeardownCommand {
        operation: operation.to_string(),
        requested_by: caller.user.username.clone(),
        scope: TeardownScope::One(name.clone()),
    };
    let topic = Topic::CmdTeardown { host };
    ordered(&app, &caller, "remove-decky", name.as_str(), operation, &topic, &command, params.wait).await
}

/// The plan for an INI, with everything that is wrong with it.
async fn planned(app: &App, ini_content: String) -> Result<Plan, Failure> {
    let mut spec = ini::parse(ini_content.as_bytes()).map_err(|errors| {
        let fields = errors.errors.iter().map(|error| FieldError::new("ini_content", error.to_string()));
        Problem::invalid(fields.collect())
    })?;
    let state = state_file(app).await?;
    let path = app.config().secret_file.clone();
    let secret = tokio::task::spawn_blocking(move || FleetSecret::load_or_create(&path))
        .await
        .map_err(Failure::internal)?
        .map_err(Failure::internal)?;
    let pool = personas::pool_path(app.config().personas.as_deref());
    spec.staff = tokio::task::spawn_blocking(move || personas::staff(&pool))
        .await
        .map_err(Failure::internal)?
        .map_err(|error| Problem::conflict(error.to_string()))?;
    let facts = host_facts(app).await?;
    let runtime = facts.as_ref().map_or(RuntimeKind::Process, |facts| facts.runtime);
    let shells: Option<&BTreeSet<String>> = facts.as_ref().map(|facts| &facts.shells);
    let used = peers(app).await?;
    let mut draft = Draft::new(PlanRequest {
        spec: &spec,
        secret: &secret,
        runtime,
        generation: state.as_ref().map_or(0, |state| state.generation) + 1,
        host: &app.config().host,
        detected: facts.as_ref().and_then(|facts| facts.network.as_ref()),
        used: &used,
        previous: state.as_ref().map(|state| &state.config),
        shells,
    });
    loop {
        match draft.step().map_err(|errors| refused(&errors))? {
            Step::Done(plan) => return Ok(*plan),
            Step::Ask { interface, addresses } => draft.heard(taken(app, interface, addresses).await?),
        }
    }
}

fn refused(errors: &PlanErrors) -> Problem {
    let errors: Vec<_> = errors.0.iter().map(ToString::to_string).collect();
    Problem::conflict(errors.join("; "))
}

/// What the agent says of its host. Where it is settled that deckies are processes, its absence does not matter: the order
/// waits for it.
async fn host_facts(app: &App) -> Result<Option<HostFacts>, Failure> {
    let topic = Topic::AskHost { host: app.config().host.clone() };
    let reply: HostReply = match app.bus().request(&topic, &HostRequest::default(), ANSWER_BOUND).await {
        Ok(reply) => reply,
        Err(_) if app.config().runtime == decnet_kit::settings::RuntimeKind::Process => return Ok(None),
        Err(error) => {
            let detail = format!("the agent does not say what its host can run: {error}");
            return Err(Problem::unavailable(detail, 5).into());
        }
    };
    let lan = reply.network.as_ref();
    let lan = lan.map(|lan| (lan.interface.as_str(), lan.subnet.as_str(), lan.gateway, lan.address));
    let facts = HostFacts::parse(&reply.runtime, lan, reply.shells);
    facts.map(Some).map_err(|reason| Problem::unavailable(reason, 60).into())
}

/// Which of these addresses others have.
async fn taken(app: &App, interface: Option<String>, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, Failure> {
    let topic = Topic::AskSurvey { host: app.config().host.clone() };
    let question = SurveyRequest { interface, addresses };
    let reply: Result<SurveyReply, _> = app.bus().request(&topic, &question, ANSWER_BOUND).await;
    let reply = reply.map_err(|error| {
        Problem::unavailable(format!("the agent does not say which addresses are taken: {error}"), 5)
    })?;
    Ok(reply.taken.into_keys().collect())
}

/// Addresses of the deckies of other hosts, which may be on the same LAN.
async fn peers(app: &App) -> Result<HashSet<IpAddr>, Failure> {
    let own = app.config().host.as_str();
    let rows = app.db().await?.fleet().list(None).await?;
    let others = rows.into_iter().filter(|row| row.host_uuid != own);
    Ok(others.filter_map(|row| row.decky_ip?.parse().ok()).collect())
}

#[expect(
    clippy::too_many_arguments,
    reason = "one call site a verb; a struct would only rename the arguments"
)]
async fn ordered<P: Payload>(
    app: &App,
    caller: &Caller,
    action: &str,
    object: &str,
    operation: Uuid,
    topic: &Topic,
    command: &P,
    wait: Option<bool>,
) -> Outcome<(StatusCode, Json<OperationView>)> {
    // Listening comes before asking, so that a quick agent is not missed.
    let mut ending = match wait {
        Some(true) => {
            let filter = TopicFilter::exact(&Topic::NoticeOperation { operation: Token::from(operation) });
            Some(app.bus().subscribe(&filter).await)
        }
        _ => None,
    };
    let unreachable = |error: decnet_bus::PublishError| {
        Problem::unavailable(format!("the order cannot be queued: {error}"), 5)
    };
    let envelope = app.bus().envelope(topic, command).map_err(Failure::internal)?;
    app.bus().publish_acked(topic, &operation.to_string(), &envelope).await.map_err(unreachable)?;
    audit(caller, action, format_args!("{object} (operation {operation})"));
    let queued = |message: String| OperationView {
        operation,
        state: OperationState::Queued,
        message,
        mode: "unihost",
    };
    let Some(ending) = ending.as_mut() else {
        return Ok((StatusCode::ACCEPTED, Json(queued("queued for the agent".to_owned()))));
    };
    match tokio::time::timeout(LONGEST_WAIT, end_of(ending)).await {
        Ok(Some(Ok(message))) => {
            let done = OperationView { state: OperationState::Done, ..queued(message) };
            Ok((StatusCode::OK, Json(done)))
        }
        Ok(Some(Err(reason))) => Err(Problem::new(StatusCode::BAD_GATEWAY, reason).into()),
        Ok(None) | Err(_) => {
            Ok((StatusCode::ACCEPTED, Json(queued("the agent has not ended it yet".to_owned()))))
        }
    }
}

/// The result that the agent announces.
async fn end_of(notices: &mut Subscription) -> Option<Result<String, String>> {
    loop {
        let received = notices.recv().await?;
        match received.envelope.decode::<OperationNotice>() {
            Ok(OperationNotice { kind: OperationKind::Done { summary }, .. }) => return Some(Ok(summary)),
            Ok(OperationNotice { kind: OperationKind::Failed { reason }, .. }) => return Some(Err(reason)),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "an unreadable notice"),
        }
    }
}
