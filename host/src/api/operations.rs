//! The management routes as one table: address, right, name. What is not in it cannot be asked for;
//! what is in it is found, guarded and described by its row.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::LazyLock;
use wasmill_core::scope::Action::{self, Read, Run, Write};
use wasmill_core::{JobId, Problem, ScriptPath, ValuePath, VersionHash, WorkspaceId};

/// What a caller must have, beyond the row's workspace existing for it. Asked for before the
/// handler is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// Nothing, not even a token.
    Open,
    /// A valid token.
    Known,
    /// A valid token; where the address has a workspace, one that its user belongs to.
    Member,
    /// The scope over a whole domain.
    All(&'static str, Action),
    /// The scope over the `{path}` in the address.
    Path(&'static str, Action),
    /// The scope over something that has to be looked up first: the handler asks. Until then as
    /// `Member`.
    Found(&'static str, Action),
    /// The role of an administrator of the workspace, and the scope over a domain.
    Admin(&'static str, Action),
    /// An administrator of the whole host, and the scope over a domain.
    Super(&'static str, Action),
}

/// One operation: a row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// Its name in the API's description.
    pub(crate) name: Name,
    /// What it does, one line.
    pub(crate) summary: &'static str,
    /// Its method.
    pub(crate) method: &'static str,
    /// Its addresses below `/api/`; the first is the one that is described, the others mean the
    /// same. A `{path}` at the end takes the rest with its slashes.
    pub(crate) addresses: &'static [&'static str],
    /// What its caller must have.
    pub(crate) right: Right,
    make: fn(&Values<'_>) -> Result<Operation, Problem>,
}

impl Row {
    /// True when pages of other origins may call it, with a token that their user gave them.
    pub(crate) fn is_for_pages(&self) -> bool {
        self.addresses.iter().any(|address| room(address) == "jobs")
    }
}

/// A row that a request has found.
#[derive(Debug)]
pub(crate) struct Matched {
    /// Which.
    pub(crate) row: &'static Row,
    /// With the names from its address.
    pub(crate) operation: Operation,
    /// The workspace in the address.
    pub(crate) workspace: Option<WorkspaceId>,
    /// The `{path}` in the address.
    pub(crate) path: Option<String>,
}

macro_rules! operations {
    ($($(#[doc = $doc:literal])+ $name:ident($($field:ident: $kind:ty),*) = $method:ident $($address:literal)|+, $right:expr;)*) => {
        /// An operation with the names from its address.
        #[derive(Debug, PartialEq, Eq)]
        pub(crate) enum Operation {
            $($(#[doc = $doc])+ $name { $(#[allow(missing_docs)] $field: $kind),* },)*
        }

        /// The name of an operation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each is said above")]
        pub(crate) enum Name {
            $($name,)*
        }

        /// Every operation.
        pub(crate) static TABLE: &[Row] = &[$(Row {
            name: Name::$name,
            summary: concat!($($doc),+),
            method: stringify!($method),
            addresses: &[$($address),+],
            right: $right,
            make: |values| {
                let _ = values;
                Ok(Operation::$name { $($field: values.take(stringify!($field))?),* })
            },
        }),*];
    };
}

operations! {
    // Without a token
    /// The host's version, as text
    Version() = GET "version", Right::Open;
    /// Whether a newer version is known: always `yes`, for the host asks nobody
    UpToDate() = GET "uptodate", Right::Open;
    /// Whether the host and its storage work
    Health() = GET "health/status", Right::Open;
    /// This description of the API
    Document() = GET "openapi.json", Right::Open;
    /// What an error means and what to do about it, as Markdown: where the `type` of a problem
    /// leads
    ExplainProblem(slug: String) = GET "problems/{slug}", Right::Open;

    // Tokens and their owners
    /// Who the caller is
    WhoAmIAnywhere() = GET "users/whoami", Right::All("users", Read);
    /// The caller's address, as text
    MyEmail() = GET "users/email", Right::All("users", Read);
    /// Makes a token, shown this once
    CreateToken() = POST "users/tokens/create", Right::All("users", Write);
    /// Makes a token for another user, shown this once
    Impersonate() = POST "users/tokens/impersonate", Right::Super("users", Write);
    /// The caller's tokens, newest first, without their secrets
    ListTokens() = GET "users/tokens/list", Right::All("users", Read);
    /// Revokes the caller's tokens with this prefix, at once
    DeleteToken(prefix: String) = DELETE "users/tokens/delete/{prefix}", Right::All("users", Write);
    /// Changes the label of the caller's tokens with this prefix
    UpdateTokenLabel(prefix: String) = POST "users/tokens/update_label/{prefix}", Right::All("users", Write);
    /// Changes the scopes of the caller's tokens with this prefix, never to broader ones than the
    /// caller has
    UpdateTokenScopes(prefix: String) = POST "users/tokens/update_scopes/{prefix}", Right::All("users", Write);
    /// The scopes that a token can have
    ListScopes() = GET "tokens/list/scopes", Right::Known;

    // Users of the host
    /// Makes a user of the host
    CreateUser() = POST "users/create", Right::Super("users", Write);
    /// The users of the host
    ListUsers() = GET "users/list_as_super_admin", Right::Super("users", Read);

    // Workspaces
    /// The caller's workspaces
    ListWorkspaces() = GET "workspaces/list", Right::All("workspaces", Read);
    /// The caller's address and workspaces
    MyWorkspaces() = GET "workspaces/users", Right::All("workspaces", Read);
    /// Makes a workspace, whose administrator the caller becomes
    CreateWorkspace() = POST "workspaces/create", Right::Super("workspaces", Write);
    /// Whether a workspace's name is taken
    WorkspaceExists() = POST "workspaces/exists", Right::All("workspaces", Read);
    /// Whether a user's name is taken in a workspace
    UsernameExists() = POST "workspaces/exists_username", Right::All("workspaces", Read);
    /// Makes a user a member of the workspace
    AddMember(workspace: WorkspaceId) = POST "w/{workspace}/workspaces/add_user", Right::Admin("workspaces", Write);

    /// The description of the workspace's webhooks: an operation for each script that the caller
    /// may run
    WorkspaceDocument(workspace: WorkspaceId) = GET "w/{workspace}/openapi.json", Right::Member;

    // A workspace's webhook
    /// The workspace's settings; its administrators see the webhook and its signing secret
    GetSettings(workspace: WorkspaceId) = GET "w/{workspace}/workspaces/get_settings", Right::All("workspaces", Read);
    /// Sets the URL that is told of every change in the workspace, or clears it
    EditWebhook(workspace: WorkspaceId) = POST "w/{workspace}/workspaces/edit_webhook", Right::Admin("workspaces", Write);
    /// Makes a new signing secret; the old one is used beside it for a while
    RotateWebhookSecret(workspace: WorkspaceId) = POST "w/{workspace}/workspaces/rotate_webhook_secret", Right::Admin("workspaces", Write);
    /// Sends a test event now and tells how that went
    TestWebhook(workspace: WorkspaceId) = POST "w/{workspace}/workspaces/test_webhook", Right::Admin("workspaces", Write);
    /// What the webhook was told or is to be told, newest first
    WebhookDeliveries(workspace: WorkspaceId) = GET "w/{workspace}/workspaces/webhook_deliveries", Right::Admin("workspaces", Read);
    /// Tells an event again
    RedeliverWebhook(workspace: WorkspaceId, delivery: i64) = POST "w/{workspace}/workspaces/redeliver_webhook/{delivery}", Right::Admin("workspaces", Write);

    // How a workspace's jobs are run and kept
    /// Sets how long finished jobs of the workspace are kept, where that is shorter than for the
    /// host
    EditRetention(workspace: WorkspaceId) = POST "w/{workspace}/workspaces/edit_retention", Right::Admin("workspaces", Write);
    /// Sets the workspace's share of the workers beside those of others
    EditWeight(workspace: WorkspaceId) = POST "w/{workspace}/workspaces/edit_weight", Right::Super("workspaces", Write);

    // Members of a workspace
    /// Who the caller is in the workspace
    WhoAmI(workspace: WorkspaceId) = GET "w/{workspace}/users/whoami", Right::All("users", Read);
    /// The workspace's members
    ListMembers(workspace: WorkspaceId) = GET "w/{workspace}/users/list", Right::All("users", Read);
    /// One member
    GetMember(workspace: WorkspaceId, username: String) = GET "w/{workspace}/users/get/{username}", Right::All("users", Read);
    /// A member's address, as text
    MemberEmail(workspace: WorkspaceId, username: String) = GET "w/{workspace}/users/username_to_email/{username}", Right::All("users", Read);
    /// Changes a member's role
    UpdateMember(workspace: WorkspaceId, username: String) = POST "w/{workspace}/users/update/{username}", Right::Admin("users", Write);
    /// Ends a membership
    RemoveMember(workspace: WorkspaceId, username: String) = DELETE "w/{workspace}/users/delete/{username}", Right::Admin("users", Write);

    // Scripts
    /// Deploys the wasm in the body
    UploadScript(workspace: WorkspaceId, path: ScriptPath) = POST "w/{workspace}/scripts/upload/p/{path}", Right::Path("scripts", Write);
    /// Deploys a script described in JSON; its `content` is the wasm in base64
    CreateScript(workspace: WorkspaceId) = POST "w/{workspace}/scripts/create", Right::Found("scripts", Write);
    /// The newest version of each script
    ListScripts(workspace: WorkspaceId) = GET "w/{workspace}/scripts/list", Right::All("scripts", Read);
    /// The paths of all scripts
    ListScriptPaths(workspace: WorkspaceId) = GET "w/{workspace}/scripts/list_paths", Right::All("scripts", Read);
    /// The newest version of a script, also when it is archived
    GetScriptByPath(workspace: WorkspaceId, path: ScriptPath) = GET "w/{workspace}/scripts/get/p/{path}", Right::Path("scripts", Read);
    /// One version of a script
    GetScriptByHash(workspace: WorkspaceId, hash: VersionHash) = GET "w/{workspace}/scripts/get/h/{hash}", Right::Found("scripts", Read);
    /// Whether there is a script at a path
    ScriptExists(workspace: WorkspaceId, path: ScriptPath) = GET "w/{workspace}/scripts/exists/p/{path}", Right::Path("scripts", Read);
    /// The versions of a script, newest first
    ScriptHistory(workspace: WorkspaceId, path: ScriptPath) = GET "w/{workspace}/scripts/history/p/{path}", Right::Path("scripts", Read);
    /// The newest version's entry in the history, or null
    LatestVersion(workspace: WorkspaceId, path: ScriptPath) = GET "w/{workspace}/scripts/get_latest_version/{path}", Right::Path("scripts", Read);
    /// Whether a version is ready to run: it is, once it is deployed
    DeploymentStatus(workspace: WorkspaceId, hash: VersionHash) = GET "w/{workspace}/scripts/deployment_status/h/{hash}", Right::Found("scripts", Read);
    /// The newest version's module, as it was uploaded
    DownloadByPath(workspace: WorkspaceId, path: ScriptPath) = GET "w/{workspace}/scripts/raw/p/{path}", Right::Path("scripts", Read);
    /// A version's module, as it was uploaded
    DownloadByHash(workspace: WorkspaceId, hash: HashOfWasm) = GET "w/{workspace}/scripts/raw/h/{hash}", Right::Found("scripts", Read);
    /// Archives a script: its path no longer runs, its versions still do
    ArchiveScript(workspace: WorkspaceId, path: ScriptPath) = POST "w/{workspace}/scripts/archive/p/{path}", Right::Path("scripts", Write);
    /// Archives the script that a version belongs to
    ArchiveByHash(workspace: WorkspaceId, hash: VersionHash) = POST "w/{workspace}/scripts/archive/h/{hash}", Right::Found("scripts", Write);
    /// Deletes a version for ever: its address answers 410 from now on
    DeleteVersion(workspace: WorkspaceId, hash: VersionHash) = POST "w/{workspace}/scripts/delete/h/{hash}", Right::Admin("scripts", Write);
    /// Deletes all versions of a script for ever
    DeleteScript(workspace: WorkspaceId, path: ScriptPath) = POST "w/{workspace}/scripts/delete/p/{path}", Right::Admin("scripts", Write);
    /// Sets how long finished jobs of the script are kept, where that is shorter than in the
    /// workspace
    EditScriptRetention(workspace: WorkspaceId, path: ScriptPath) = POST "w/{workspace}/scripts/retention/p/{path}", Right::Path("scripts", Write);
    /// The tokens of the workspace that are for this script alone
    ScriptTokens(workspace: WorkspaceId, path: ScriptPath) = GET "w/{workspace}/scripts/list_tokens/{path}", Right::Path("scripts", Read);

    // Variables
    /// A variable's text, as a JSON string
    GetVariableValue(workspace: WorkspaceId, path: ValuePath) = GET "w/{workspace}/variables/get_value/{path}", Right::Path("variables", Read);
    /// A variable; the text of a secret one unless `decrypt_secret=false`
    GetVariable(workspace: WorkspaceId, path: ValuePath) = GET "w/{workspace}/variables/get/{path}", Right::Path("variables", Read);
    /// Whether there is a variable at a path
    VariableExists(workspace: WorkspaceId, path: ValuePath) = GET "w/{workspace}/variables/exists/{path}", Right::Path("variables", Read);
    /// Variables by path, secret ones without their text
    ListVariables(workspace: WorkspaceId) = GET "w/{workspace}/variables/list", Right::All("variables", Read);
    /// Makes a variable
    CreateVariable(workspace: WorkspaceId) = POST "w/{workspace}/variables/create", Right::Found("variables", Write);
    /// Changes a variable; a new path moves it
    UpdateVariable(workspace: WorkspaceId, path: ValuePath) = POST "w/{workspace}/variables/update/{path}", Right::Path("variables", Write);
    /// Deletes a variable
    DeleteVariable(workspace: WorkspaceId, path: ValuePath) = DELETE "w/{workspace}/variables/delete/{path}", Right::Path("variables", Write);

    // Resources
    /// A resource's value with everything that it refers to in its place
    GetResourceValueInterpolated(workspace: WorkspaceId, path: ValuePath) = GET "w/{workspace}/resources/get_value_interpolated/{path}", Right::Path("resources", Read);
    /// A resource's value as it was written
    GetResourceValue(workspace: WorkspaceId, path: ValuePath) = GET "w/{workspace}/resources/get_value/{path}", Right::Path("resources", Read);
    /// A resource
    GetResource(workspace: WorkspaceId, path: ValuePath) = GET "w/{workspace}/resources/get/{path}", Right::Path("resources", Read);
    /// Whether there is a resource at a path
    ResourceExists(workspace: WorkspaceId, path: ValuePath) = GET "w/{workspace}/resources/exists/{path}", Right::Path("resources", Read);
    /// Resources by path, without their values
    ListResources(workspace: WorkspaceId) = GET "w/{workspace}/resources/list", Right::All("resources", Read);
    /// The types that the workspace's resources have
    ListResourceTypes(workspace: WorkspaceId) = GET "w/{workspace}/resources/type/list", Right::All("resources", Read);
    /// The names of these types
    ListResourceTypeNames(workspace: WorkspaceId) = GET "w/{workspace}/resources/type/listnames", Right::All("resources", Read);
    /// Makes a resource; replaces one with `update_if_exists=true`
    CreateResource(workspace: WorkspaceId) = POST "w/{workspace}/resources/create", Right::Found("resources", Write);
    /// Changes a resource; a new path moves it
    UpdateResource(workspace: WorkspaceId, path: ValuePath) = POST "w/{workspace}/resources/update/{path}", Right::Path("resources", Write);
    /// Changes a resource's value
    UpdateResourceValue(workspace: WorkspaceId, path: ValuePath) = POST "w/{workspace}/resources/update_value/{path}", Right::Path("resources", Write);
    /// Deletes a resource
    DeleteResource(workspace: WorkspaceId, path: ValuePath) = DELETE "w/{workspace}/resources/delete/{path}", Right::Path("resources", Write);

    // Jobs. Whether one is completed is for the job to say, so `completed/` may be left out.
    /// A job: `type` is QueuedJob or CompletedJob
    GetJob(workspace: WorkspaceId, id: JobId) = GET "w/{workspace}/jobs_u/get/{id}", Right::Found("jobs", Read);
    /// A completed job; 404 until it is
    GetCompletedJob(workspace: WorkspaceId, id: JobId) = GET "w/{workspace}/jobs_u/completed/get/{id}", Right::Found("jobs", Read);
    /// A job's bare result; 404 until there is one
    GetResult(workspace: WorkspaceId, id: JobId) = GET "w/{workspace}/jobs_u/completed/get_result/{id}" | "w/{workspace}/jobs_u/get_result/{id}", Right::Found("jobs", Read);
    /// A job's result, when there is one: always all of completed, result, success, started
    GetResultMaybe(workspace: WorkspaceId, id: JobId) = GET "w/{workspace}/jobs_u/completed/get_result_maybe/{id}" | "w/{workspace}/jobs_u/get_result_maybe/{id}", Right::Found("jobs", Read);
    /// When a job was created and started, and how long it took
    GetTiming(workspace: WorkspaceId, id: JobId) = GET "w/{workspace}/jobs_u/completed/get_timing/{id}", Right::Found("jobs", Read);
    /// A job's log as text, also while it grows
    GetLogs(workspace: WorkspaceId, id: JobId) = GET "w/{workspace}/jobs_u/get_logs/{id}", Right::Found("jobs", Read);
    /// The end of a completed job's log, as a JSON string
    GetLogsTail(workspace: WorkspaceId, id: JobId) = GET "w/{workspace}/jobs_u/get_completed_logs_tail/{id}", Right::Found("jobs", Read);
    /// What is new of a job since the last look
    GetUpdate(workspace: WorkspaceId, id: JobId) = GET "w/{workspace}/jobs_u/getupdate/{id}", Right::Found("jobs", Read);
    /// What is new of a job, as server-sent events
    StreamUpdates(workspace: WorkspaceId, id: JobId) = GET "w/{workspace}/jobs_u/getupdate_sse/{id}", Right::Found("jobs", Read);
    /// A job's attempts, oldest first, the last one included
    GetAttempts(workspace: WorkspaceId, id: JobId) = GET "w/{workspace}/jobs_u/get_attempts/{id}", Right::Found("jobs", Read);
    /// A job's arguments
    GetArgs(workspace: WorkspaceId, id: JobId) = GET "w/{workspace}/jobs_u/get_args/{id}", Right::Found("jobs", Read);
    /// The id of the outermost job that a job is part of
    GetRootJob(workspace: WorkspaceId, id: JobId) = GET "w/{workspace}/jobs_u/get_root_job_id/{id}", Right::Found("jobs", Read);
    /// Jobs, newest first
    ListJobs(workspace: WorkspaceId) = GET "w/{workspace}/jobs/list", Right::All("jobs", Read);
    /// Jobs that are not over
    ListQueue(workspace: WorkspaceId) = GET "w/{workspace}/jobs/queue/list", Right::All("jobs", Read);
    /// Jobs that are over
    ListCompleted(workspace: WorkspaceId) = GET "w/{workspace}/jobs/completed/list", Right::All("jobs", Read);
    /// How many jobs wait
    CountQueue(workspace: WorkspaceId) = GET "w/{workspace}/jobs/queue/count", Right::All("jobs", Read);
    /// How many jobs are over
    CountCompleted(workspace: WorkspaceId) = GET "w/{workspace}/jobs/completed/count", Right::All("jobs", Read);
    /// How many waiting jobs are to start before a moment, given in milliseconds
    QueuePosition(workspace: WorkspaceId, at: i64) = GET "w/{workspace}/jobs/queue/position/{at}", Right::All("jobs", Read);
    /// When a waiting job is to start, in milliseconds
    ScheduledFor(workspace: WorkspaceId, id: JobId) = GET "w/{workspace}/jobs/queue/scheduled_for/{id}", Right::Found("jobs", Read);
    /// When these jobs were started: a time or null for each id
    StartedAt(workspace: WorkspaceId) = POST "w/{workspace}/jobs_u/queue/get_started_at_by_ids", Right::All("jobs", Read);
    /// Cancels a job: a waiting one at once, a running one by stopping it. A sandbox needs no
    /// second, harder way
    CancelJob(workspace: WorkspaceId, id: JobId) = POST "w/{workspace}/jobs_u/queue/cancel/{id}" | "w/{workspace}/jobs_u/queue/force_cancel/{id}", Right::Found("jobs", Write);
    /// Cancels the jobs with these ids
    CancelSelection(workspace: WorkspaceId) = POST "w/{workspace}/jobs/queue/cancel_selection", Right::All("jobs", Write);
    /// Restarts a finished job: queues the same call again, and answers with the new job's id
    RestartJob(workspace: WorkspaceId, id: JobId) = POST "w/{workspace}/jobs/restart/{id}", Right::Found("jobs", Run);
    /// Restarts the finished jobs that fit the query, oldest first: those whose scripts the caller
    /// may run
    RestartJobs(workspace: WorkspaceId) = POST "w/{workspace}/jobs/restart", Right::All("jobs", Read);
    /// Runs the jobs with these ids again: a line for each, with the new one's id or with Error and
    /// why there is none
    BatchRerunJobs(workspace: WorkspaceId) = POST "w/{workspace}/jobs/run/batch_rerun_jobs", Right::Found("jobs", Run);
    /// Erases the arguments, the result and the log of a completed job
    EraseJob(workspace: WorkspaceId, id: JobId) = POST "w/{workspace}/jobs/completed/delete/{id}", Right::Admin("jobs", Write);
    /// Whether the host is stopping
    WorkerIsDraining(workspace: WorkspaceId, id: JobId) = GET "w/{workspace}/jobs/worker_is_draining/{id}", Right::Member;
}

/// The hash of a version, perhaps with `.wasm` behind it, as it reads well in a browser's address
/// line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HashOfWasm(pub(crate) VersionHash);

impl FromStr for HashOfWasm {
    type Err = wasmill_core::InvalidName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_suffix(".wasm").unwrap_or(text).parse().map(Self)
    }
}

/// What an address has where its row has `{names}`.
struct Values<'a>(Vec<(&'static str, &'a str)>);

impl Values<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// A name that cannot exist is answered like one that does not.
    fn take<T>(&self, name: &str) -> Result<T, Problem>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.get(name)
            .unwrap_or_default()
            .parse()
            .map_err(|error: T::Err| Problem::not_found(format!("{name}: {error}")))
    }
}

/// The rows by the word that follows the workspace, or that begins an address without one.
static BY_ROOM: LazyLock<HashMap<&str, Vec<(&'static Row, &'static str)>>> = LazyLock::new(|| {
    let mut rooms: HashMap<&str, Vec<_>> = HashMap::new();
    for row in TABLE {
        for address in row.addresses {
            rooms.entry(room(address)).or_default().push((row, *address));
        }
    }
    rooms
});

fn room(address: &str) -> &str {
    let mut words = address.split('/');
    match words.next() {
        Some("w") => match words.nth(1) {
            Some("jobs_u") => "jobs",
            room => room.unwrap_or_default(),
        },
        first => first.unwrap_or_default(),
    }
}

/// Finds the row of an address below `/api/`, already decoded. `Ok(None)` when there is none.
///
/// # Errors
/// 404 for a malformed name in the address. The methods that the address has, when this one is not
/// among them.
pub(crate) fn find(method: &str, address: &str) -> Result<Option<Matched>, Refused> {
    let mut methods: Vec<&str> = Vec::new();
    for (row, template) in BY_ROOM.get(room(address)).into_iter().flatten() {
        let Some(values) = matching(template, address) else { continue };
        if row.method == method || (row.method == "GET" && method == "HEAD") {
            let operation = (row.make)(&values).map_err(Refused::Name)?;
            let workspace = values.get("workspace").and_then(|workspace| workspace.parse().ok());
            let path = values.get("path").map(str::to_owned);
            return Ok(Some(Matched { row, operation, workspace, path }));
        }
        methods.push(row.method);
    }
    if methods.is_empty() { Ok(None) } else { Err(Refused::Method(methods)) }
}

/// The methods that an address below `/api/` has.
pub(crate) fn methods(address: &str) -> Vec<&'static str> {
    let rows = BY_ROOM.get(room(address)).into_iter().flatten();
    rows.filter(|(_, template)| matching(template, address).is_some())
        .map(|(row, _)| row.method)
        .collect()
}

/// Why an address that exists cannot be answered.
pub(crate) enum Refused {
    /// A name in it is malformed.
    Name(Problem),
    /// It has these methods only.
    Method(Vec<&'static str>),
}

fn matching<'a>(template: &'static str, address: &'a str) -> Option<Values<'a>> {
    let mut values = Vec::new();
    let mut rest = Some(address);
    for word in template.split('/') {
        let here = rest?;
        let name = word.strip_prefix('{').and_then(|word| word.strip_suffix('}'));
        if name == Some("path") {
            values.push(("path", here));
            rest = None;
            continue;
        }
        let (segment, behind) = match here.split_once('/') {
            Some((segment, behind)) => (segment, Some(behind)),
            None => (here, None),
        };
        match name {
            Some(name) if !segment.is_empty() => values.push((name, segment)),
            None if same(word, segment) => {}
            _ => return None,
        }
        rest = behind;
    }
    rest.is_none().then_some(Values(values))
}

/// Older hosts kept what anybody may ask for (`jobs_u`) apart from the rest; here the two words
/// mean the same.
fn same(word: &str, segment: &str) -> bool {
    let jobs = |word| matches!(word, "jobs" | "jobs_u");
    word == segment || (jobs(word) && jobs(segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address of a row with something that fits in place of each name.
    fn example(template: &str) -> String {
        template
            .replace("{workspace}", "main")
            .replace("{path}", "u/ann/some/script")
            .replace("{hash}", &"ab".repeat(32))
            .replace("{id}", "01937f4e-0000-7000-8000-000000000000")
            .replace("{at}", "1767225600000")
            .replace("{prefix}", "wml_abcdef")
            .replace("{username}", "ann")
            .replace("{slug}", "not-found")
            .replace("{delivery}", "7")
    }

    #[test]
    fn every_row_is_found_by_each_of_its_addresses() {
        for row in TABLE {
            for template in row.addresses {
                let address = example(template);
                assert!(!address.contains('{'), "{address}: give the example a value");
                let found = find(row.method, &address)
                    .ok()
                    .flatten()
                    .unwrap_or_else(|| panic!("{} {address} is not found", row.method));
                assert_eq!(found.row.name, row.name, "{address}");
                assert_eq!(
                    found.workspace.is_some(),
                    template.contains("{workspace}"),
                    "{address}"
                );
                assert_eq!(found.path.is_some(), template.contains("{path}"), "{address}");
            }
        }
    }

    #[test]
    fn rows_that_are_guarded_by_their_address_have_what_the_guard_needs() {
        for row in TABLE {
            let in_workspace =
                row.addresses.iter().all(|address| address.starts_with("w/{workspace}/"));
            match row.right {
                Right::Path(..) => {
                    assert!(
                        in_workspace
                            && row.addresses.iter().all(|address| address.ends_with("/{path}")),
                        "{:?}",
                        row.name
                    )
                }
                Right::Member | Right::Admin(..) | Right::Found(..) => {
                    assert!(in_workspace, "{:?}", row.name)
                }
                Right::Open | Right::Known => assert!(!in_workspace, "{:?}", row.name),
                Right::All(..) | Right::Super(..) => {}
            }
        }
    }

    #[test]
    fn methods() {
        assert!(
            matches!(find("POST", "version"), Err(Refused::Method(methods)) if methods == ["GET"])
        );
        assert!(find("HEAD", "version").ok().flatten().is_some());
        assert!(matches!(find("GET", "nothing"), Ok(None)));
        assert!(matches!(find("GET", "w/main/jobs_u/get/x/y"), Ok(None)));
        assert!(matches!(find("GET", "w//jobs/list"), Ok(None)));
        assert!(matches!(find("GET", "w/main/jobs_u/get/not-an-id"), Err(Refused::Name(_))));
    }
}
