//! The rows of the subject table. To add a topic, add a row here and its payload in `payload/`; streams,
//! consumers, documentation and tests follow by themselves.
//!
//! A row: variant and fields, subject without `decnet.`, public name (if any), class, payload, who publishes,
//! who is woken by a durable consumer, who listens otherwise.

use decnet_core::{DeckyName, HostId};

use super::{Delivery, TopicSpec};
use crate::{
    Token, Worker,
    payload::{self, Payload},
    token::Segment,
};

macro_rules! topics {
    ($(
        $(#[doc = $doc:literal])*
        $name:ident $({ $($field:ident: $kind:ty),+ })?
        $pattern:literal $(=> $public:literal)?,
        $class:ident, $payload:ty,
        by [$($producer:ident),*] wakes [$($wakes:ident),*] reads [$($reads:ident),*];
    )*) => {
        /// A subject, as a value.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Topic {
            $(
                $(#[doc = $doc])*
                $name $({ $(
                    /// This token of the subject.
                    $field: $kind
                ),+ })?,
            )*
        }

        /// A row of the subject table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum TopicKind { $( $(#[doc = $doc])* $name, )* }

        impl TopicKind {
            /// Every row, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }

        impl Topic {
            /// The row of this topic.
            pub const fn kind(&self) -> TopicKind {
                match self { $(Self::$name { .. } => TopicKind::$name,)* }
            }

            /// The token that stands for `{name}`.
            pub(super) fn field(&self, name: &str) -> Option<&str> {
                match self {
                    $(Self::$name $({ $($field),+ })? => {
                        $($(if name == stringify!($field) { return Some(Segment::text($field)); })+)?
                        None
                    })*
                }
            }

            /// Builds a topic of `kind` from the tokens that `value` has for its fields.
            pub(super) fn assemble<'a>(
                kind: TopicKind,
                value: &dyn Fn(&str) -> Option<&'a str>,
            ) -> Option<Self> {
                match kind {
                    $(TopicKind::$name => Some(Self::$name $({
                        $($field: <$kind as Segment>::read(value(stringify!($field))?)?),+
                    })?),)*
                }
            }
        }

        pub(super) fn spec(kind: TopicKind) -> &'static TopicSpec {
            match kind {
                $(TopicKind::$name => {
                    const SPEC: TopicSpec = TopicSpec {
                        kind: TopicKind::$name,
                        pattern: $pattern,
                        public: public_name(&[$($public)?]),
                        class: Delivery::$class,
                        payload: <$payload as Payload>::NAME,
                        producers: &[$(Worker::$producer),*],
                        wakes: &[$(Worker::$wakes),*],
                        reads: &[$(Worker::$reads),*],
                        doc: concat!($($doc),*),
                    };
                    &SPEC
                })*
            }
        }
    };
}

const fn public_name(given: &[&'static str]) -> Option<&'static str> {
    match given {
        [name, ..] => Some(name),
        [] => None,
    }
}

topics! {
    /// First sighting of an address.
    AttackerObserved "attacker.observed" => "attacker.observed", Stream, payload::AttackerObserved,
        by [Collector, Profiler] wakes [Clusterer, ReuseCorrelator, Enrich] reads [Api, Webhook];
    /// An attacker's row was scored anew.
    AttackerScored "attacker.scored" => "attacker.scored", Stream, payload::AttackerScored,
        by [Profiler] wakes [Clusterer, Enrich] reads [Api, Webhook];
    /// An active probe of an address succeeded.
    AttackerFingerprinted "attacker.fingerprinted" => "attacker.fingerprinted", Stream, payload::AttackerFingerprinted,
        by [Prober] wakes [Clusterer] reads [Api, Webhook];
    /// An intruder's connection became a session.
    AttackerSessionStarted "attacker.session.started" => "attacker.session.started", Stream, payload::AttackerSession,
        by [Collector] wakes [] reads [Api, Webhook];
    /// A session is over.
    AttackerSessionEnded "attacker.session.ended" => "attacker.session.ended", Stream, payload::AttackerSession,
        by [Collector] wakes [Profiler] reads [Api, Webhook];
    /// Threat intelligence about an address arrived.
    AttackerIntelEnriched "attacker.intel.enriched" => "attacker.intel.enriched", Stream, payload::AttackerIntel,
        by [Enrich] wakes [] reads [Api, Webhook];

    /// A credential was captured; never the secret itself.
    CredentialCaptured "credential.captured" => "credential.captured", Stream, payload::CredentialCaptured,
        by [Collector] wakes [ReuseCorrelator] reads [Api, Webhook];
    /// One secret was used in more than one place, or in one place more.
    CredentialReuseDetected "credential.reuse.detected" => "credential.reuse.detected", Stream, payload::CredentialReuse,
        by [ReuseCorrelator] wakes [Clusterer] reads [Api, Webhook];

    /// A canary token lies on a decky.
    CanaryPlaced { host: HostId, token: Token } "canary.{host}.{token}.placed" => "canary.{token}.placed", Stream, payload::CanaryPlaced,
        by [Api, Canary] wakes [] reads [Api, Webhook];
    /// Somebody used a canary token.
    CanaryTriggered { host: HostId, token: Token } "canary.{host}.{token}.triggered" => "canary.{token}.triggered", Stream, payload::CanaryTriggered,
        by [Canary] wakes [ReuseCorrelator] reads [Api, Webhook];
    /// A canary token was taken back.
    CanaryRevoked { host: HostId, token: Token } "canary.{host}.{token}.revoked" => "canary.{token}.revoked", Stream, payload::CanaryRevoked,
        by [Api, Canary] wakes [] reads [Api, Webhook];

    /// A new identity.
    IdentityFormed "identity.formed" => "identity.formed", Stream, payload::IdentityFormed,
        by [Clusterer] wakes [CampaignClusterer] reads [Api, Webhook];
    /// An observation joined an identity.
    IdentityObservationLinked "identity.observation.linked" => "identity.observation.linked", Stream, payload::IdentityObservationLinked,
        by [Clusterer] wakes [CampaignClusterer] reads [Api, Webhook];
    /// Two identities are one; the smaller id wins.
    IdentityMerged "identity.merged" => "identity.merged", Stream, payload::Merged,
        by [Clusterer] wakes [CampaignClusterer] reads [Api, Webhook];
    /// A merge was undone under the loser's old id.
    IdentityUnmerged "identity.unmerged" => "identity.unmerged", Stream, payload::Unmerged,
        by [Clusterer] wakes [CampaignClusterer] reads [Api, Webhook];
    /// An identity belongs to a campaign. Wakes nobody: the campaign clusterer publishes it and reads `identity`.
    IdentityCampaignAssigned "identity.campaign.assigned" => "identity.campaign.assigned", Stream, payload::CampaignAssigned,
        by [CampaignClusterer] wakes [] reads [Api, Webhook];
    /// A new campaign.
    CampaignFormed "campaign.formed" => "campaign.formed", Stream, payload::CampaignFormed,
        by [CampaignClusterer] wakes [] reads [Api, Webhook];
    /// A campaign gained an identity.
    CampaignIdentityAssigned "campaign.identity.assigned" => "campaign.identity.assigned", Stream, payload::CampaignAssigned,
        by [CampaignClusterer] wakes [] reads [Api, Webhook];
    /// Two campaigns are one.
    CampaignMerged "campaign.merged" => "campaign.merged", Stream, payload::Merged,
        by [CampaignClusterer] wakes [] reads [Api, Webhook];
    /// A merge of campaigns was undone.
    CampaignUnmerged "campaign.unmerged" => "campaign.unmerged", Stream, payload::Unmerged,
        by [CampaignClusterer] wakes [] reads [Api, Webhook];

    /// A change of a topology waits.
    TopologyMutationEnqueued { topology: Token } "topology.{topology}.mutation.enqueued" => "topology.{topology}.mutation.enqueued", Stream, payload::TopologyMutation,
        by [Api] wakes [Mutator] reads [Api, Webhook];
    /// A change of a topology is being made.
    TopologyMutationApplying { topology: Token } "topology.{topology}.mutation.applying" => "topology.{topology}.mutation.applying", Stream, payload::TopologyMutation,
        by [Mutator] wakes [] reads [Api, Webhook];
    /// A change of a topology is made.
    TopologyMutationApplied { topology: Token } "topology.{topology}.mutation.applied" => "topology.{topology}.mutation.applied", Stream, payload::TopologyMutation,
        by [Mutator] wakes [] reads [Api, Webhook];
    /// A change of a topology failed.
    TopologyMutationFailed { topology: Token } "topology.{topology}.mutation.failed" => "topology.{topology}.mutation.failed", Stream, payload::TopologyMutation,
        by [Mutator] wakes [] reads [Api, Webhook];
    /// A topology's state changed.
    TopologyStatus { topology: Token } "topology.{topology}.status" => "topology.{topology}.status", Stream, payload::TopologyStatus,
        by [Mutator] wakes [] reads [Api, Webhook];

    /// A decky was inserted, deleted or changed its state; silent while all is as planned.
    DeckyState { host: HostId, decky: Token } "decky.{host}.{decky}.state" => "decky.{decky}.state", Stream, payload::DeckyState,
        by [Agent, Reconciler] wakes [Orchestrator] reads [Api, Webhook];
    /// What the sniffer saw of a decky's traffic, repeats removed.
    DeckyTraffic { host: HostId, decky: Token } "decky.{host}.{decky}.traffic" => "decky.{decky}.traffic", Core, payload::DeckyTraffic,
        by [Sniffer] wakes [] reads [Webhook];
    /// A decky got other services.
    DeckyMutation { host: HostId, decky: Token } "decky.{host}.{decky}.mutation" => "decky.{decky}.mutation", Stream, payload::DeckyMutation,
        by [Agent, Mutator] wakes [Orchestrator] reads [Api, Webhook];
    /// Somebody changed or removed a file that life had planted: nobody else has business there.
    DeckyFileTampered { host: HostId, decky: Token } "decky.{host}.{decky}.file_tampered" => "decky.{decky}.file_tampered", Stream, payload::FileTampered,
        by [Orchestrator] wakes [] reads [Api, Webhook];

    /// Invented traffic between deckies; the id is the destination's.
    OrchestratorTraffic { host: HostId, decky: Token } "orchestrator.{host}.traffic.{decky}" => "orchestrator.traffic.{decky}", Stream, payload::OrchestratorAction,
        by [Orchestrator] wakes [] reads [Api, Webhook];
    /// A file was planted or edited on a decky.
    OrchestratorFile { host: HostId, decky: Token } "orchestrator.{host}.file.{decky}" => "orchestrator.file.{decky}", Stream, payload::OrchestratorAction,
        by [Orchestrator] wakes [] reads [Api, Webhook];
    /// A mail was delivered to a mail decky.
    OrchestratorEmail { host: HostId, decky: Token } "orchestrator.{host}.email.{decky}" => "orchestrator.email.{decky}", Stream, payload::OrchestratorEmail,
        by [Orchestrator] wakes [] reads [Api, Webhook];

    /// Heartbeat: at once on start, then every 30 seconds.
    SystemHealth { host: HostId, worker: Token } "system.{host}.{worker}.health" => "system.{worker}.health", Health, payload::Heartbeat,
        by [Api, Bus, Collector, Profiler, Sniffer, Prober, Mutator, Reconciler, ReuseCorrelator, Enrich, Clusterer,
            CampaignClusterer, Webhook, Orchestrator, Agent, Forwarder, Updater, Canary]
        wakes [] reads [Api, Webhook];
    /// Order to a worker; answered.
    SystemControl { host: HostId, worker: Token } "system.{host}.{worker}.control", Core, payload::Control,
        by [Api, Cli] wakes []
        reads [Api, Bus, Collector, Profiler, Sniffer, Prober, Mutator, Reconciler, ReuseCorrelator, Enrich, Clusterer,
            CampaignClusterer, Webhook, Orchestrator, Agent, Forwarder, Updater, Canary];

    /// One raw line of a decky; the body is the bare payload, without an envelope.
    Ingest { host: HostId, decky: DeckyName } "ingest.{host}.{decky}", Ingest, payload::IngestLine,
        by [Agent, Sniffer] wakes [Collector] reads [];

    /// Bring a host's deckies to a plan.
    CmdDeploy { host: HostId } "cmd.deploy.{host}", Command, payload::DeployCommand,
        by [Api, Cli] wakes [Agent] reads [];
    /// Remove deckies of a host.
    CmdTeardown { host: HostId } "cmd.teardown.{host}", Command, payload::TeardownCommand,
        by [Api, Cli, Reconciler] wakes [Agent] reads [];

    /// What runs on the host?
    AskInspect { host: HostId } "ask.inspect.{host}", Core, payload::InspectRequest,
        by [Api, Orchestrator, Reconciler, Mutator, Cli] wakes [] reads [Agent];
    /// What is the host, and what can it run?
    AskHost { host: HostId } "ask.host.{host}", Core, payload::HostRequest,
        by [Api, Cli] wakes [] reads [Agent];
    /// Which addresses are taken on the LAN?
    AskSurvey { host: HostId } "ask.survey.{host}", Core, payload::SurveyRequest,
        by [Api, Cli] wakes [] reads [Agent];
    /// Put files into a decky.
    AskPutFiles { host: HostId } "ask.put-files.{host}", Core, payload::PutFilesRequest,
        by [Api, Orchestrator, Canary] wakes [] reads [Agent];
    /// Rename or remove files of a decky.
    AskTidyFiles { host: HostId } "ask.tidy-files.{host}", Core, payload::TidyFilesRequest,
        by [Orchestrator, Canary] wakes [] reads [Agent];
    /// Read one file of a decky.
    AskReadFile { host: HostId } "ask.read-file.{host}", Core, payload::ReadFileRequest,
        by [Api, Orchestrator] wakes [] reads [Agent];
    /// Connect from one decky to another.
    AskProbe { host: HostId } "ask.probe.{host}", Core, payload::ProbeRequest,
        by [Orchestrator] wakes [] reads [Agent];
    /// Try a webhook once: only its worker may call out.
    AskWebhookTest { host: HostId } "ask.webhook-test.{host}", Core, payload::WebhookTestRequest,
        by [Api, Cli] wakes [] reads [Webhook];

    /// The collector stored a line. Carries no captured text.
    NoticeCollectorLine "notice.collector.line" => "system.log", Core, payload::CollectorLine,
        by [Collector] wakes [] reads [Api, Webhook];
    /// A batch is in the database. Not exported: the public name `system.log` belongs to the lines.
    NoticeIngestCommitted "notice.ingest.committed", Core, payload::IngestCommitted,
        by [Collector] wakes [] reads [Api];
    /// Webhooks were created, changed or deleted.
    NoticeWebhookChanged "notice.webhook.changed" => "system.webhook.subscriptions_changed", Core, payload::Empty,
        by [Api, Cli] wakes [] reads [Webhook];
    /// Something changed about the deckies of a host: whoever compares should look now.
    NoticeDeckies { host: HostId } "notice.deckies.{host}", Core, payload::Empty,
        by [Agent] wakes [] reads [Reconciler];
    /// Progress and result of a command.
    NoticeOperation { operation: Token } "notice.operation.{operation}", Core, payload::OperationNotice,
        by [Agent] wakes [] reads [Api, Cli];
}
