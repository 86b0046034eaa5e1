//! Texts that a language model wrote ahead of time, in place of the templates': for new files of people and for new threads.
//!
//! A task of its own tops the pool up; whoever acts only takes from it. A model that hangs, errs or writes rubbish costs nothing
//! but variety.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use decnet_core::Seed;
use decnet_db::{Db, NewPoolText};
use decnet_kit::Ctx;
use decnet_llm::Backend;
use decnet_realism::{
    Action, Class, Draw, Persona, Planned,
    mail::compose::{Letter, Text, compose},
    model::{self, Breaker, Exchange, Round, Want},
    plan::{Arrival, Fleet, shelf::sha256},
};
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::world::{Site, World};

/// Texts of each class that each author has in store.
const STORE: u64 = 2;
/// Between two calls, while the breaker is open, and while the store is full.
const BREATH: Duration = Duration::from_secs(1);
const SULK: Duration = Duration::from_secs(10);
const REST: Duration = Duration::from_mins(1);
/// Calls after which what was refused is asked for again.
const ROUND: u32 = 2000;
/// Streams of an arrival's dice that the planner does not use.
const STREAM: u64 = 1 << 32;

/// What a new thread may be about: the model makes something of its own of it.
const TOPICS: [&str; 24] = [
    "a date for the next review",
    "figures that do not add up",
    "access to a shared folder",
    "a maintenance window",
    "an offer from a supplier",
    "the handover before a holiday",
    "a customer who called twice",
    "the agenda of a meeting",
    "a question about an invoice",
    "a new colleague's first week",
    "a report that is due",
    "a machine that runs slowly",
    "a change of a deadline",
    "feedback on a draft",
    "the parking spaces",
    "an order that has not arrived",
    "training dates",
    "a visit of an auditor",
    "a phone number that changed",
    "who takes over on Friday",
    "a licence that runs out",
    "results of a test",
    "travel to another site",
    "tidying up an old project",
];

/// The model, if there is one, and what it wrote.
pub(crate) struct Texts {
    backend: Option<Arc<dyn Backend>>,
    /// One for files and mail.
    breaker: Breaker,
    node: Seed,
}

impl Texts {
    /// By the settings and the command line. What cannot work is an error now, not at the first call.
    pub(crate) fn open(ctx: &Ctx, wanted: Option<bool>, node: &Seed) -> Result<Arc<Self>> {
        let settings = ctx.settings();
        let settings = decnet_llm::Settings {
            backend: settings.realism_llm.clone(),
            base_url: settings.realism_url.clone(),
            model: settings.realism_model.clone(),
            timeout: settings.realism_timeout.duration(),
            api_key: settings.realism_api_key.as_ref().map(|key| key.expose().to_owned()),
            fake_output: settings.realism_fake_output.clone(),
        };
        let backend = decnet_llm::open(&settings, wanted).context("the language model")?;
        Ok(Arc::new(Self { backend, breaker: Breaker::new(), node: node.child("texts") }))
    }

    /// What the panel shows of it.
    pub(crate) fn report(&self) -> Map<String, Value> {
        let backend = self.backend.as_deref();
        let report = json!({
            "llm_enabled": backend.is_some(),
            "llm_backend": backend.map(Backend::kind),
            "llm_model": backend.map(Backend::model),
            "llm_breaker_state": self.breaker.status().as_str(),
        });
        Map::from_iter([("realism".to_owned(), report)])
    }

    /// Replaces the template's words in what was planned, where a text is at hand. Returns the model that wrote it.
    pub(crate) async fn dress(
        &self,
        db: &Db,
        fleet: &Fleet,
        site: &Site,
        arrival: &Arrival,
        planned: &mut [Planned],
    ) -> Result<Option<String>> {
        if self.backend.is_none() {
            return Ok(None);
        }
        for step in planned.iter_mut() {
            let (Some(persona), Some(class)) = (&step.persona, step.class) else { continue };
            let is_new = match &step.action {
                Action::Create(_) => class.is_user(),
                Action::Email(message) => message.in_reply_to.is_none(),
                _ => false,
            };
            if !is_new {
                continue;
            }
            let pool = db.content_pool();
            let Some(text) = pool.next(class.as_str(), &persona.email, &persona.language).await? else {
                continue;
            };
            let fits = match &mut step.action {
                Action::Create(write) => {
                    let fits = class != Class::Script || model::suits(&write.path, &text.body);
                    if fits {
                        write.body = text.body.into_bytes();
                    }
                    fits
                }
                Action::Email(message) => {
                    // It was written to somebody: he gets it.
                    let machine = fleet.machine(&site.id);
                    let to = machine
                        .and_then(|machine| machine.mail_users.iter().find(|to| to.email == text.context));
                    match (machine, to) {
                        (Some(machine), Some(to)) if to.email != persona.email => {
                            let words = Text { subject: text.subject, body: text.body };
                            let letter = Letter {
                                from: persona,
                                to,
                                machine,
                                parent: None,
                                at: message.mtime,
                                text: Some(&words),
                            };
                            let mut rng = Draw::from_seed(arrival.seed);
                            rng.set_stream(STREAM);
                            **message = compose(&letter, &mut rng);
                            true
                        }
                        _ => false,
                    }
                }
                _ => false,
            };
            // One that fits nowhere would stand in the way of the others.
            if pool.used(text.uuid).await? && fits {
                return Ok(Some(text.model));
            }
        }
        Ok(None)
    }

    /// Tops the pool up until the worker stops.
    pub(crate) async fn top_up(self: Arc<Self>, ctx: Ctx, world: watch::Receiver<Arc<World>>) -> Result<()> {
        let Some(backend) = self.backend.clone() else { return Ok(()) };
        let (mut round, mut calls) = (Round::default(), 0u32);
        while !ctx.is_stopping() {
            let fleet = Arc::clone(&world.borrow().fleet);
            let work = async {
                let db = ctx.db().await?;
                self.write_one(&ctx, &db, backend.as_ref(), &fleet, &mut round, calls).await
            };
            let pause = tokio::select! {
                biased;
                // A call that is cut off says nothing about the model.
                () = ctx.stopping() => break,
                pause = work => pause.unwrap_or_else(|error| {
                    tracing::debug!(error = format!("{error:#}"), "no text was written ahead");
                    REST
                }),
            };
            calls = calls.wrapping_add(1);
            if calls.is_multiple_of(ROUND) {
                round = Round::default();
            }
            tokio::select! {
                () = ctx.stopping() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        Ok(())
    }

    /// Has the model write one text. Returns how long to wait for the next.
    async fn write_one(
        &self,
        ctx: &Ctx,
        db: &Db,
        backend: &dyn Backend,
        fleet: &Fleet,
        round: &mut Round,
        call: u32,
    ) -> Result<Duration> {
        let personas: Vec<Arc<Persona>> =
            fleet.people().iter().map(|person| Arc::clone(&person.persona)).collect();
        let waiting = db.content_pool().waiting().await?;
        let count = |class: Class, who: &str| {
            let known =
                |(known, author, _): &&(String, String, u64)| known == class.as_str() && author == who;
            waiting.iter().find(known).map_or(0, |(.., count)| *count)
        };
        let Some(want) = round.wanted(&personas, count, STORE) else { return Ok(REST) };
        let Some(permit) = self.breaker.permit(ctx.now()) else { return Ok(SULK) };
        let mut rng = self.node.child(ctx.next_id().as_bytes()).child(call.to_be_bytes()).rng();
        let asked = ask(want, fleet, &personas, &mut rng);
        let Some((prompt, recipient)) = asked else {
            round.missed(want.class, want.persona);
            return Ok(BREATH);
        };
        let answer = match backend.generate(&prompt).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%error, "the model wrote nothing");
                permit.failure(ctx.now());
                return Ok(BREATH);
            }
        };
        let text = match judge(want, recipient.as_ref(), &answer) {
            Ok(text) => text,
            Err(error) => {
                tracing::debug!(%error, class = %want.class, "a text was refused");
                permit.failure(ctx.now());
                round.missed(want.class, want.persona);
                return Ok(BREATH);
            }
        };
        permit.success();
        let text = NewPoolText {
            content_class: want.class.as_str().to_owned(),
            persona: want.persona.email.clone(),
            language: want.persona.language.clone(),
            context: recipient.map(|(to, _)| to.email.clone()).unwrap_or_default(),
            content_hash: sha256(format!("{}\n{}", text.subject, text.body).as_bytes()),
            subject: text.subject,
            body: text.body,
            model: backend.model().to_owned(),
        };
        if !db.content_pool().add(&text).await? {
            round.missed(want.class, want.persona);
        }
        Ok(BREATH)
    }
}

/// To whom a letter goes, and what about.
type Recipient = (Arc<Persona>, &'static str);

/// The question, and to whom a letter goes.
fn ask(
    want: Want<'_>,
    fleet: &Fleet,
    personas: &[Arc<Persona>],
    rng: &mut Draw,
) -> Option<(String, Option<Recipient>)> {
    if want.class != Class::Email {
        let hint = fleet.hosts().get(rng.random_range(0..fleet.hosts().len().max(1))).cloned();
        let hint = hint.filter(|_| rng.random_bool(0.4)).unwrap_or_default();
        return Some((model::file(want.class, want.persona, &hint, rng).ok()?.text, None));
    }
    let others: Vec<&Arc<Persona>> =
        personas.iter().filter(|other| !other.email.eq_ignore_ascii_case(&want.persona.email)).collect();
    let to = Arc::clone(others.get(rng.random_range(0..others.len().max(1)))?);
    let topic = TOPICS.get(rng.random_range(0..TOPICS.len())).copied().unwrap_or_default();
    let text = model::mail(&exchange(want.persona, &to, topic), rng).text;
    Some((text, Some((to, topic))))
}

fn exchange<'a>(sender: &'a Persona, recipient: &'a Persona, hint: &'a str) -> Exchange<'a> {
    Exchange { sender, recipient, hint, parent: None }
}

/// A text that may be used.
fn judge(want: Want<'_>, to: Option<&Recipient>, answer: &str) -> Result<Text, model::Rejected> {
    match to {
        Some((to, topic)) => model::check_mail(&exchange(want.persona, to, topic), answer),
        None => model::check_file(want.class, want.persona, answer)
            .map(|body| Text { subject: String::new(), body }),
    }
}
