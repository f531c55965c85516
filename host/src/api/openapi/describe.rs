//! What each operation takes and gives, for its description. An operation without one does not
//! compile.

use super::super::operations::Name;
use crate::http::events::Event;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;
use wasmill_core::wire;

/// Writes down a type's schema.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A query parameter.
pub(super) struct Parameter {
    /// Its name.
    pub(super) name: &'static str,
    /// Its values.
    pub(super) kind: ParameterKind,
    /// What it does.
    pub(super) what: &'static str,
}

/// The values of a query parameter.
#[derive(Clone, Copy)]
pub(super) enum ParameterKind {
    Text,
    /// A whole number from 0 on, unless it is said to begin later.
    Number(u32),
    Switch,
    Time,
    Id,
    Hash,
    Path,
}

/// What a request carries in its body.
pub(super) enum Takes {
    Nothing,
    Json(SchemaOf),
    OptionalJson(SchemaOf),
    Wasm,
}

/// What an answer carries.
pub(super) enum Gives {
    Text,
    Markdown,
    Wasm,
    Events,
    Json(SchemaOf),
}

/// An operation beyond its row of the table.
pub(super) struct Description {
    pub(super) query: &'static [Parameter],
    pub(super) takes: Takes,
    /// Statuses of success.
    pub(super) gives: Vec<(u16, Gives)>,
}

const fn parameter(name: &'static str, kind: ParameterKind, what: &'static str) -> Parameter {
    Parameter { name, kind, what }
}

use ParameterKind::{Hash, Id, Number, Path, Switch, Text, Time};

const PAGE: &[Parameter] = &[
    parameter("per_page", Number(0), "Entries of a page, at most 10000; else 1000"),
    parameter("after", Path, "The path after which the page begins"),
];

const UPLOAD: &[Parameter] = &[
    parameter("summary", Text, "One line about the script"),
    parameter("timeout_s", Number(0), "Longest run, seconds; never above the host's"),
    parameter("memory_mib", Number(0), "Memory of a run, MiB; never above the host's"),
    parameter(
        "delete_after_use",
        Switch,
        "Synchronous runs leave nothing but the fact; queued ones are erased once their result was read",
    ),
    parameter(
        "delete_after_secs",
        Number(0),
        "Seconds after a run's end at which its arguments, result and log are erased",
    ),
    parameter(
        "on_hang_up",
        Text,
        "cancel or continue: what becomes of a synchronous run whose caller hangs up",
    ),
    parameter(
        "on_sync_timeout",
        Text,
        "cancel or continue: what becomes of one that takes longer than its caller may wait",
    ),
    parameter("retry", Text, "When a queued run that failed is started again: a policy as JSON"),
    parameter("concurrent_limit", Number(0), "Runs at the same time at most; 0: any number"),
    parameter(
        "concurrency_key",
        Text,
        "What the limit counts together, for instance $args[customer]",
    ),
];

const VALUES: &[Parameter] = &[
    parameter("path_start", Text, "Only those whose paths begin so"),
    parameter("page", Number(1), "Which page"),
    parameter("per_page", Number(0), "Entries of a page, at most 1000; else 1000"),
];

const RESOURCES: &[Parameter] = &[
    parameter("resource_type", Text, "Only of these types, with commas between"),
    parameter("path_start", Text, "Only those whose paths begin so"),
    parameter("page", Number(1), "Which page"),
    parameter("per_page", Number(0), "Entries of a page, at most 1000; else 1000"),
];

const VARIABLE: &[Parameter] = &[
    parameter("decrypt_secret", Switch, "false: without the text of a secret one"),
    parameter(
        "include_encrypted",
        Switch,
        "With its text as it is sealed, when it is a secret that is not decrypted",
    ),
];

const ENCRYPTED: &[Parameter] =
    &[parameter("already_encrypted", Switch, "The value is sealed, as include_encrypted shows it")];

const REPLACE: &[Parameter] =
    &[parameter("update_if_exists", Switch, "Replaces one that is there")];

const JOBS: &[Parameter] = &[
    parameter("script_path_exact", Path, "Only of this script"),
    parameter("script_path_start", Text, "Only of scripts whose paths begin so"),
    parameter("script_hash", Hash, "Only of this version"),
    parameter("created_by", Text, "Only started by this user"),
    parameter("label", Text, "Only with this label"),
    parameter("parent_job", Id, "Only parts of this job"),
    parameter("tag", Text, "Only with this tag"),
    parameter("trigger_kind", Text, "webhook or manual"),
    parameter("success", Switch, "Only completed with, or without, success"),
    parameter("status", Text, "Some of success, failure, canceled, with commas between"),
    parameter("running", Switch, "true: only running ones; false: only waiting ones"),
    parameter("scheduled_for_before_now", Switch, "Only waiting ones that are due"),
    parameter("created_after", Time, "Only later ones"),
    parameter("created_before", Time, "Only earlier ones"),
    parameter("started_after", Time, "Only those started later"),
    parameter("started_before", Time, "Only those started earlier"),
    parameter("completed_after", Time, "Only those that ended later"),
    parameter("completed_before", Time, "Only those that ended earlier"),
    parameter("order_desc", Switch, "false: oldest first"),
    parameter("include_args", Switch, "With the arguments"),
    parameter("per_page", Number(0), "Jobs of a page, at most 10000; else 1000"),
    parameter("before", Id, "The id before which the page ends: the last one of the page before"),
    parameter("after", Id, "The id after which the page begins"),
];

const RESTART: &[Parameter] = &[
    parameter("script_path_exact", Path, "Only of this script"),
    parameter("script_path_start", Text, "Only of scripts whose paths begin so"),
    parameter("script_hash", Hash, "Only of this version"),
    parameter("created_by", Text, "Only started by this user"),
    parameter("label", Text, "Only with this label"),
    parameter("parent_job", Id, "Only parts of this job"),
    parameter("tag", Text, "Only with this tag"),
    parameter("trigger_kind", Text, "webhook or manual"),
    parameter("success", Switch, "Only with, or without, success"),
    parameter("status", Text, "Some of success, failure, canceled, with commas between"),
    parameter("created_after", Time, "Only later ones"),
    parameter("created_before", Time, "Only earlier ones"),
    parameter("started_after", Time, "Only those started later"),
    parameter("started_before", Time, "Only those started earlier"),
    parameter("completed_after", Time, "Only those that ended later"),
    parameter("completed_before", Time, "Only those that ended earlier"),
    parameter("limit", Number(1), "Jobs at most, 10000 or less; else 1000"),
    parameter("next", Text, "Where to go on, as the last answer said"),
];

const DELIVERIES: &[Parameter] = &[
    parameter(
        "per_page",
        Number(0),
        "Events of a page, at most 1000, which is also what is shown unless it is said",
    ),
    parameter(
        "before",
        Number(0),
        "The id before which the page ends: the last one of the page before",
    ),
];

const UPDATE: &[Parameter] = &[
    parameter("log_offset", Number(0), "Where new log text begins, as the last answer said"),
    parameter("only_result", Switch, "With the result, once there is one"),
    parameter("no_logs", Switch, "Without log text"),
];

const RESULT: &[Parameter] = &[parameter(
    "json_path",
    Text,
    "The part of the result to answer with: keys and indices with dots between",
)];

const STARTED: &[Parameter] =
    &[parameter("get_started", Switch, "Say of a queued job whether it runs")];

/// What an operation takes and gives.
pub(super) fn describe(name: Name) -> Description {
    use Gives::{Events, Json, Text, Wasm};
    let plain =
        |gives| Description { query: &[], takes: Takes::Nothing, gives: vec![(200, gives)] };
    let asked =
        |query, gives| Description { query, takes: Takes::Nothing, gives: vec![(200, gives)] };
    let given =
        |takes, status, gives| Description { query: &[], takes, gives: vec![(status, gives)] };
    match name {
        Name::Version
        | Name::UpToDate
        | Name::MyEmail
        | Name::MemberEmail
        | Name::DeleteToken
        | Name::RemoveMember => plain(Text),
        Name::ArchiveScript | Name::GetLogs => plain(Text),
        Name::Health => Description {
            query: &[],
            takes: Takes::Nothing,
            gives: vec![(200, Json(of::<wire::Health>)), (503, Json(of::<wire::Health>))],
        },
        Name::ExplainProblem => plain(Gives::Markdown),
        Name::Document | Name::WorkspaceDocument => plain(Json(of::<Value>)),

        Name::WhoAmIAnywhere => plain(Json(of::<wire::GlobalUser>)),
        Name::CreateUser => given(Takes::Json(of::<wire::NewUser>), 201, Text),
        Name::ListUsers => plain(Json(of::<Vec<wire::GlobalUser>>)),

        Name::CreateToken => given(Takes::OptionalJson(of::<wire::NewToken>), 201, Text),
        Name::Impersonate => given(Takes::Json(of::<wire::Impersonation>), 201, Text),
        Name::ListTokens | Name::ScriptTokens => plain(Json(of::<Vec<wire::Token>>)),
        Name::UpdateTokenLabel => given(Takes::Json(of::<wire::TokenLabel>), 200, Text),
        Name::UpdateTokenScopes => given(Takes::Json(of::<wire::TokenScopes>), 200, Text),
        Name::ListScopes => plain(Json(of::<Vec<wire::ScopeDomain>>)),

        Name::ListWorkspaces => plain(Json(of::<Vec<wire::Workspace>>)),
        Name::MyWorkspaces => plain(Json(of::<wire::UserWorkspaces>)),
        Name::CreateWorkspace => given(Takes::Json(of::<wire::NewWorkspace>), 201, Text),
        Name::WorkspaceExists => {
            given(Takes::Json(of::<wire::WorkspaceName>), 200, Json(of::<bool>))
        }
        Name::UsernameExists => {
            given(Takes::Json(of::<wire::NameInWorkspace>), 200, Json(of::<bool>))
        }

        Name::GetSettings => plain(Json(of::<wire::WorkspaceSettings>)),
        Name::EditWebhook => given(Takes::OptionalJson(of::<wire::EditWebhook>), 200, Text),
        Name::RotateWebhookSecret => given(
            Takes::OptionalJson(of::<wire::RotateSecret>),
            200,
            Json(of::<wire::RotatedSecret>),
        ),
        Name::TestWebhook => plain(Json(of::<wire::TestedWebhook>)),
        Name::WebhookDeliveries => asked(DELIVERIES, Json(of::<Vec<wire::WebhookDelivery>>)),
        Name::RedeliverWebhook => plain(Text),

        Name::EditRetention | Name::EditScriptRetention => {
            given(Takes::Json(of::<wire::Retention>), 200, Text)
        }
        Name::EditWeight => given(Takes::Json(of::<wire::EditWeight>), 200, Text),

        Name::AddMember => given(Takes::Json(of::<wire::NewMember>), 201, Text),
        Name::WhoAmI | Name::GetMember => plain(Json(of::<wire::Member>)),
        Name::ListMembers => plain(Json(of::<Vec<wire::Member>>)),
        Name::UpdateMember => given(Takes::Json(of::<wire::MemberChange>), 200, Text),

        Name::UploadScript => Description {
            query: UPLOAD,
            takes: Takes::Wasm,
            gives: vec![(201, Json(of::<wire::Uploaded>)), (200, Json(of::<wire::Uploaded>))],
        },
        Name::CreateScript => given(Takes::Json(of::<wire::NewScript>), 201, Text),
        Name::ListScripts => asked(PAGE, Json(of::<Vec<wire::Script>>)),
        Name::ListScriptPaths => plain(Json(of::<Vec<String>>)),
        Name::GetScriptByPath
        | Name::GetScriptByHash
        | Name::ArchiveByHash
        | Name::DeleteVersion => plain(Json(of::<wire::Script>)),
        Name::ScriptExists => plain(Json(of::<bool>)),
        Name::ScriptHistory => plain(Json(of::<Vec<wire::HistoryEntry>>)),
        Name::LatestVersion => plain(Json(of::<Option<wire::HistoryEntry>>)),
        Name::DeploymentStatus => plain(Json(of::<wire::DeploymentStatus>)),
        Name::DownloadByPath | Name::DownloadByHash => plain(Wasm),
        Name::DeleteScript => plain(Json(of::<String>)),

        Name::GetVariableValue => plain(Json(of::<String>)),
        Name::GetVariable => asked(VARIABLE, Json(of::<wire::Variable>)),
        Name::VariableExists | Name::ResourceExists => plain(Json(of::<bool>)),
        Name::ListVariables => asked(VALUES, Json(of::<Vec<wire::Variable>>)),
        Name::CreateVariable => Description {
            query: ENCRYPTED,
            takes: Takes::Json(of::<wire::NewVariable>),
            gives: vec![(201, Text)],
        },
        Name::UpdateVariable => Description {
            query: ENCRYPTED,
            takes: Takes::Json(of::<wire::EditVariable>),
            gives: vec![(200, Text)],
        },
        Name::DeleteVariable | Name::DeleteResource => plain(Text),
        Name::GetResourceValueInterpolated | Name::GetResourceValue => plain(Json(of::<Value>)),
        Name::GetResource => plain(Json(of::<wire::Resource>)),
        Name::ListResources => asked(RESOURCES, Json(of::<Vec<wire::Resource>>)),
        Name::ListResourceTypes => plain(Json(of::<Vec<wire::ResourceType>>)),
        Name::ListResourceTypeNames => plain(Json(of::<Vec<String>>)),
        Name::CreateResource => Description {
            query: REPLACE,
            takes: Takes::Json(of::<wire::NewResource>),
            gives: vec![(201, Text)],
        },
        Name::UpdateResource => given(Takes::Json(of::<wire::EditResource>), 200, Text),
        Name::UpdateResourceValue => given(Takes::Json(of::<wire::ResourceValue>), 200, Text),

        Name::GetJob | Name::GetCompletedJob | Name::EraseJob => plain(Json(of::<wire::Job<'_>>)),
        Name::GetResult => asked(RESULT, Json(of::<Value>)),
        Name::GetResultMaybe => asked(STARTED, Json(of::<wire::ResultMaybe<'_>>)),
        Name::GetTiming => plain(Json(of::<wire::Timing>)),
        Name::GetLogsTail => plain(Json(of::<String>)),
        Name::GetUpdate => asked(UPDATE, Json(of::<Event>)),
        Name::StreamUpdates => asked(UPDATE, Events),
        Name::GetAttempts => plain(Json(of::<Vec<wire::Attempt<'_>>>)),
        Name::GetArgs => plain(Json(of::<Value>)),
        Name::GetRootJob => plain(Json(of::<String>)),
        Name::ListJobs | Name::ListQueue | Name::ListCompleted => {
            asked(JOBS, Json(of::<Vec<wire::Job<'_>>>))
        }
        Name::CountQueue | Name::CountCompleted => plain(Json(of::<wire::JobCount>)),
        Name::QueuePosition => plain(Json(of::<wire::QueuePosition>)),
        Name::ScheduledFor => plain(Json(of::<i64>)),
        Name::StartedAt => {
            given(Takes::Json(wire::patterns::job_ids), 200, Json(of::<Vec<Option<String>>>))
        }
        Name::CancelJob => given(Takes::OptionalJson(of::<wire::CancelRequest>), 200, Text),
        Name::CancelSelection => {
            given(Takes::Json(wire::patterns::job_ids), 200, Json(of::<Vec<String>>))
        }
        Name::RestartJob => given(Takes::Nothing, 201, Text),
        Name::RestartJobs => asked(RESTART, Json(of::<wire::Restarted>)),
        Name::BatchRerunJobs => given(Takes::Json(of::<wire::BatchRerun>), 200, Text),
        Name::WorkerIsDraining => plain(Json(of::<bool>)),
    }
}

/// The query parameters of a call.
pub(super) const CALL: &[Parameter] = &[
    parameter("raw", Switch, "Adds raw_string: the body's exact text"),
    parameter("wrap_body", Switch, "Makes a JSON object {\"body\": object}"),
    parameter("include_header", Text, "Headers that become arguments, with commas between"),
    parameter("include_query", Text, "Query parameters that become arguments, with commas between"),
    parameter("tag", Text, "A word to find it by; the host runs jobs of every tag"),
    parameter("timeout", Number(1), "The longest run, seconds; never above the script's own"),
    parameter("parent_job", Id, "The job that this one is part of"),
    parameter("root_job", Id, "The job at the top of the tree"),
];

/// The query parameters of a call with GET, beside `CALL`.
pub(super) const PAYLOAD: Parameter = parameter(
    "payload",
    Text,
    "The arguments: JSON in base64, in the standard or the URL-safe alphabet",
);

/// The query parameter of a call that is waited for, beside `CALL`.
pub(super) const WAITED: Parameter = parameter(
    "queue_limit",
    Number(0),
    "Refuses the call when more jobs than this are due and wait in the workspace",
);

/// The query parameters of a call that is queued, beside `CALL`.
pub(super) const QUEUED: &[Parameter] = &[
    parameter("scheduled_for", Time, "When it starts"),
    parameter("scheduled_in_secs", Number(0), "Seconds after which it starts"),
    parameter("job_id", Id, "Its id"),
    parameter(
        "retry",
        Text,
        "When it is started again after a run that failed, whatever the script says: a policy as JSON",
    ),
];
