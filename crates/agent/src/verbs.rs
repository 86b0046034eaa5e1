//! The short verbs: inspect, host, survey, put files, read a file, probe. Each is bounded in time, and an error is a sentence
//! that says what to do. Answers carry no captured text uncleaned.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use decnet_bus::{
    Request, Requests, Topic, TopicFilter,
    payload::{
        self, DeckyInspection, HostLan, HostReply, HostRequest, InspectReply, InspectRequest, ProbeReply,
        ProbeRequest, PutFilesReply, PutFilesRequest, ReadFileReply, ReadFileRequest, SurveyReply,
        SurveyRequest, TidyFilesReply, TidyFilesRequest,
    },
};
use decnet_core::traffic::SourcePorts;
use decnet_kit::Ctx;
use decnet_runtime::{Diverged, Expect, FileSpec, HostRuntime, Tidy};
use futures_util::{StreamExt, stream::SelectAll};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::mirror::Mirror;

/// How long a verb may take (spec 20.4).
const BOUND: Duration = Duration::from_secs(8);
/// Verbs at work at once.
const AT_ONCE: usize = 32;
/// Most addresses of one survey: a thousand deckies and a look ahead.
const MAX_SURVEY: usize = 1200;
/// Most bytes of a file in an answer: base64 of it must pass the broker's limit of 1 MiB.
const MAX_READ: u64 = 700 * 1024;

/// Starts listening for questions to this host.
pub(crate) async fn listen(ctx: &Ctx) -> SelectAll<Requests> {
    let host = ctx.settings().host.clone();
    let mut all = SelectAll::new();
    for topic in [
        Topic::AskInspect { host: host.clone() },
        Topic::AskHost { host: host.clone() },
        Topic::AskSurvey { host: host.clone() },
        Topic::AskPutFiles { host: host.clone() },
        Topic::AskTidyFiles { host: host.clone() },
        Topic::AskReadFile { host: host.clone() },
        Topic::AskProbe { host },
    ] {
        all.push(ctx.bus().serve(&TopicFilter::exact(&topic)).await);
    }
    all
}

/// Answers until the worker stops.
pub(crate) async fn answer(
    ctx: Ctx,
    runtime: Arc<dyn HostRuntime>,
    mirror: Arc<Mirror>,
    ports: SourcePorts,
    mut questions: SelectAll<Requests>,
) -> anyhow::Result<()> {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let desk = Arc::new(Desk { ctx: ctx.clone(), runtime, mirror, ports });
    let mut answers = JoinSet::new();
    loop {
        let question = tokio::select! {
            biased;
            () = ctx.stopping() => break,
            Some(_) = answers.join_next() => continue,
            question = questions.next() => question,
        };
        let Some(question) = question else {
            // The bus is switched off: nobody will ask.
            ctx.stopping().await;
            break;
        };
        match Arc::clone(&room).try_acquire_owned() {
            Ok(place) => {
                let desk = Arc::clone(&desk);
                answers.spawn(async move {
                    desk.answer(question).await;
                    drop(place);
                });
            }
            Err(_) => {
                question
                    .respond::<()>(Err("the agent is busy with other requests: ask again".to_owned()))
                    .await;
            }
        }
    }
    // Those at work end by their own bound, and the worker's stop has one too.
    while answers.join_next().await.is_some() {}
    Ok(())
}

struct Desk {
    ctx: Ctx,
    runtime: Arc<dyn HostRuntime>,
    mirror: Arc<Mirror>,
    ports: SourcePorts,
}

impl Desk {
    async fn answer(&self, question: Request) {
        match question.topic {
            Topic::AskInspect { .. } => {
                let answer = within(async { self.inspect(question.read()?).await }).await;
                question.respond(answer).await;
            }
            Topic::AskHost { .. } => {
                let answer = within(async { Ok(self.host(question.read()?).await) }).await;
                question.respond(answer).await;
            }
            Topic::AskSurvey { .. } => {
                let answer = within(async { self.survey(question.read()?).await }).await;
                question.respond(answer).await;
            }
            Topic::AskPutFiles { .. } => {
                let answer = within(async { self.put_files(question.read()?).await }).await;
                question.respond(answer).await;
            }
            Topic::AskTidyFiles { .. } => {
                let answer = within(async { self.tidy_files(question.read()?).await }).await;
                question.respond(answer).await;
            }
            Topic::AskReadFile { .. } => {
                let answer = within(async { self.read_file(question.read()?).await }).await;
                question.respond(answer).await;
            }
            Topic::AskProbe { .. } => {
                let answer = within(async { self.probe(question.read()?).await }).await;
                question.respond(answer).await;
            }
            _ => question.respond::<()>(Err("the agent does not know this verb".to_owned())).await,
        }
    }

    async fn inspect(&self, _: InspectRequest) -> Result<InspectReply, String> {
        let statuses = self.runtime.inspect().await.map_err(|error| error.to_string())?;
        let mut deckies: BTreeMap<_, _> = statuses
            .into_iter()
            .map(|status| {
                let services = status.services.into_iter().map(|(slug, state)| (slug, state.to_string()));
                let inspection = DeckyInspection {
                    name: status.name.clone(),
                    state: status.state.to_string(),
                    services: services.collect(),
                    last_error: status.last_error,
                    port_base: status.port_base,
                    plan_hash: status.plan_hash,
                    egress_blocked: status.egress_blocked,
                    incarnation: status.incarnation,
                };
                (status.name, inspection)
            })
            .collect();
        // What the engine is at work on: its word counts, also for one of which nothing is there yet.
        for (name, over) in self.mirror.overrides() {
            let decky = deckies.entry(name.clone()).or_insert_with(|| DeckyInspection {
                name,
                state: String::new(),
                services: BTreeMap::new(),
                last_error: None,
                port_base: 0,
                plan_hash: None,
                egress_blocked: 0,
                incarnation: None,
            });
            decky.state = over.state.to_string();
            decky.last_error = over.last_error;
        }
        Ok(InspectReply { deckies: deckies.into_values().collect() })
    }

    async fn host(&self, _: HostRequest) -> HostReply {
        let able = self.runtime.abilities().await;
        HostReply {
            runtime: self.runtime.kind().as_str().to_owned(),
            engine: able.engine,
            network: able.network.map(|lan| HostLan {
                interface: lan.interface,
                subnet: lan.subnet.to_string(),
                gateway: lan.gateway.map(Into::into),
                address: lan.address.map(Into::into),
            }),
            shells: able.shells,
        }
    }

    async fn survey(&self, request: SurveyRequest) -> Result<SurveyReply, String> {
        if request.addresses.len() > MAX_SURVEY {
            let count = request.addresses.len();
            return Err(format!(
                "{count} addresses are too many for one survey: ask for at most {MAX_SURVEY}"
            ));
        }
        let taken = self.runtime.survey(request.interface.as_deref(), &request.addresses).await;
        Ok(SurveyReply { taken: taken.map_err(|error| error.to_string())? })
    }

    async fn put_files(&self, request: PutFilesRequest) -> Result<PutFilesReply, String> {
        let mut files = Vec::with_capacity(request.files.len());
        for file in request.files {
            let content = STANDARD.decode(&file.content_b64).map_err(|error| {
                format!("content_b64 of {:?} is no base64 ({error}); nothing was written", file.path)
            })?;
            files.push(FileSpec {
                path: file.path,
                mode: file.mode,
                uid: file.uid,
                gid: file.gid,
                mtime: file.mtime,
                content: content.into(),
                expect: file.expect.map(expect),
            });
        }
        let placed =
            self.runtime.put_files(&request.decky, &files).await.map_err(|error| error.to_string())?;
        let diverged = placed.diverged.into_iter().map(diverged).collect();
        Ok(PutFilesReply { written: placed.written, diverged })
    }

    async fn tidy_files(&self, request: TidyFilesRequest) -> Result<TidyFilesReply, String> {
        let steps = request.steps.into_iter();
        let steps: Vec<Tidy> =
            steps.map(|step| Tidy { path: step.path, to: step.to, expect: expect(step.expect) }).collect();
        let outcome = self.runtime.tidy_files(&request.decky, &steps).await;
        let outcome = outcome.map_err(|error| error.to_string())?;
        Ok(TidyFilesReply { done: outcome.done, diverged: outcome.diverged.map(diverged) })
    }

    async fn read_file(&self, request: ReadFileRequest) -> Result<ReadFileReply, String> {
        let max = request.max.min(MAX_READ);
        let read = self.runtime.read_file(&request.decky, &request.path, max).await;
        let Some(read) = read.map_err(|error| error.to_string())? else {
            return Ok(ReadFileReply::default());
        };
        let stat = payload::FileStat {
            size: read.stat.size,
            mode: read.stat.mode,
            uid: read.stat.uid,
            gid: read.stat.gid,
            mtime: read.stat.mtime,
        };
        Ok(ReadFileReply { content_b64: Some(STANDARD.encode(read.content)), stat: Some(stat) })
    }

    async fn probe(&self, request: ProbeRequest) -> Result<ProbeReply, String> {
        let now = self.ctx.now();
        let to = (request.to_ip, request.to_port).into();
        let probe = self
            .runtime
            .probe(&request.from, to, request.protocol.as_deref(), &|from, to| {
                self.ports.candidates(from, to.ip(), to.port(), now).to_vec()
            })
            .await
            .map_err(|error| error.to_string())?;
        let banner = (!probe.banner.is_empty()).then(|| decnet_logline::clean_bytes(&probe.banner));
        Ok(ProbeReply { banner, src_port: probe.src_port })
    }
}

fn expect(expect: payload::Expect) -> Expect {
    match expect {
        payload::Expect::Absent => Expect::Absent,
        payload::Expect::Sha256(hash) => Expect::Sha256(hash),
    }
}

fn diverged(diverged: Diverged) -> payload::Diverged {
    payload::Diverged { path: diverged.path, found: diverged.found }
}

async fn within<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    match tokio::time::timeout(BOUND, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!(
            "it took longer than {} s: ask again, and look at the load of the agent's host",
            BOUND.as_secs()
        )),
    }
}
