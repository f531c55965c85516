//! Every limit of the host that a caller or an operator can meet, with its unit, its default and
//! its reason. A constant that only tunes one algorithm stays beside that algorithm.
//!
//! `RunLimits` go with a run and are merged from host, workspace and script by taking the smaller;
//! `HostLimits` belong to the process.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// What one run of a script may use. Merged by minimum, so that no layer can widen what another
/// narrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunLimits {
    /// Wall-clock time of a run, start functions included. Covers guests that sleep in a host call.
    /// Default 300 s.
    pub wall: Duration,
    /// Bytes of linear memory and tables, summed over all of the run's memories. Default 256 MiB:
    /// enough for the largest interpreters seen, small enough for dozens of runs side by side.
    pub memory_bytes: u64,
    /// Elements over all tables of a run. Default 100,000: the largest guest seen starts with
    /// 7,688.
    pub table_elements: u64,
    /// Bytes of log (stdout and stderr) kept of a run; what is more is counted and dropped. Default
    /// 1 MiB.
    pub log_bytes: u64,
    /// Bytes of a result's JSON text. Default 16 MiB, as for bodies.
    pub result_bytes: u64,
    /// Bytes of one call's arguments as JSON text. Default 64 MiB: a 16 MiB body in base64, with
    /// room.
    pub args_bytes: u64,
    /// Bytes that may be copied from the guest to the host in one host call. Default 128 MiB,
    /// wasmtime's own.
    pub hostcall_bytes: u64,
    /// Host resources (streams, pollables ...) alive at once in a run. Default 4,096.
    pub handles: u32,
    /// Bytes of randomness one host call may ask for. Default 1 MiB.
    pub random_bytes: u64,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(300),
            memory_bytes: 256 * MIB,
            table_elements: 100_000,
            log_bytes: MIB,
            result_bytes: 16 * MIB,
            args_bytes: 64 * MIB,
            hostcall_bytes: 128 * MIB,
            handles: 4_096,
            random_bytes: MIB,
        }
    }
}

/// What a script's author may declare for its own runs. Absent: the host's limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeclaredLimits {
    /// Wall-clock seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u64>,
    /// MiB of memory, summed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
}

impl RunLimits {
    /// These limits narrowed by what the script declares; a declaration never widens.
    pub fn narrowed_by(mut self, declared: &DeclaredLimits) -> Self {
        if let Some(seconds) = declared.timeout_s {
            self.wall = self.wall.min(Duration::from_secs(seconds));
        }
        if let Some(mib) = declared.memory_mib {
            self.memory_bytes = self.memory_bytes.min(mib.saturating_mul(MIB));
        }
        self
    }

    /// These limits with the wall clock cut to at most `wall`.
    pub fn within(mut self, wall: Duration) -> Self {
        self.wall = self.wall.min(wall);
        self
    }
}

/// Bounds of the process as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostLimits {
    /// Bytes of a webhook's body. Default 16 MiB; 413 above it.
    pub body_bytes: u64,
    /// Bytes of an uploaded module. Default 64 MiB: three times the largest guest seen (Python, 18
    /// MB).
    pub module_bytes: u64,
    /// Runs at the same time. Default 256; more than that waits briefly, then 503.
    pub concurrent_runs: u32,
    /// Connections at the same time. Default 4,096; more than that wait in the listen queue.
    pub connections: u32,
    /// Time from accept or the last answer to a request's last header byte. Default 10 s.
    pub header_timeout: Duration,
    /// Time for a whole body to arrive. Default 60 s.
    pub body_timeout: Duration,
    /// Idle time after which a kept-alive HTTP/2 connection is pinged and closed. Default 60 s.
    pub idle_timeout: Duration,
    /// Bytes of a request's target and headers. Default 32 KiB; 431 above it.
    pub header_bytes: u32,
    /// Request headers. Default 100; 431 above it.
    pub header_count: u32,
    /// Request streams on one HTTP/2 connection. Default 100.
    pub http2_streams: u32,
    /// A synchronous caller's longest wait. Default 600 s, after which the run is cancelled and the
    /// answer is 504.
    pub sync_wait: Duration,
    /// How long running requests may go on after a stop was asked for. Default 10 s.
    pub stop_grace: Duration,
    /// How long a synchronous call waits for a free place among the running ones. Default 2 s, then
    /// 503.
    pub admit_wait: Duration,
    /// Jobs that may wait in one workspace before further ones are refused with 429; 0 for any
    /// number. Default 1,000,000: about a gigabyte on disk with arguments of a kilobyte, and more
    /// than a day's work at ten a second.
    pub queued_jobs: u64,
    /// How long finished jobs are kept; `None`: for ever. Default 30 days.
    pub keep_runs: Option<Duration>,
    /// Compiling one module, in the child process.
    pub compile: CompileLimits,
    /// Bytes of compiled scripts kept ready in memory. Default 1 GiB.
    pub warm_bytes: u64,
    /// Bytes of compiled scripts kept on disk. Default 10 GiB: a few hundred of the largest, of
    /// JavaScript and Python.
    pub artefact_bytes: u64,
    /// Telling workspaces' webhooks of changes.
    pub delivery: DeliveryLimits,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self {
            body_bytes: 16 * MIB,
            module_bytes: 64 * MIB,
            concurrent_runs: 256,
            connections: 4_096,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            header_bytes: 32 << 10,
            header_count: 100,
            http2_streams: 100,
            sync_wait: Duration::from_secs(600),
            stop_grace: Duration::from_secs(10),
            admit_wait: Duration::from_secs(2),
            queued_jobs: 1_000_000,
            keep_runs: Some(Duration::from_secs(30 * 86_400)),
            compile: CompileLimits::default(),
            warm_bytes: 1024 * MIB,
            artefact_bytes: 10_240 * MIB,
            delivery: DeliveryLimits::default(),
        }
    }
}

/// What telling workspaces' webhooks of changes may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryLimits {
    /// Time of one attempt, from looking up the receiver's name to the end of its answer. Default
    /// 10 s.
    pub timeout: Duration,
    /// Attempts at the same time, each of another workspace. Default 32.
    pub concurrent: u32,
    /// Bytes of the receiver's answer that are read, so that it sees its answer taken. Default 64
    /// KiB.
    pub answer_bytes: u64,
    /// Bytes of them that the delivery log keeps. Default 1 KiB.
    pub kept_answer_bytes: u64,
    /// How long the delivery log keeps an event that was delivered or given up. Default 30 days.
    pub log: Duration,
    /// How long the secret before a rotation is used beside the new one. Default 24 h.
    pub old_secret: Duration,
    /// Bytes of a webhook's URL. Default 2,048.
    pub url_bytes: u32,
}

impl Default for DeliveryLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            concurrent: 32,
            answer_bytes: 64 << 10,
            kept_answer_bytes: 1 << 10,
            log: Duration::from_secs(30 * 86_400),
            old_secret: Duration::from_secs(86_400),
            url_bytes: 2_048,
        }
    }
}

/// What compiling one module may use. Valid wasm of 0.6 MB can hold a compiler for minutes, so it
/// runs in a child process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Processor seconds of the child. Default 60: the slowest honest guest seen took 24.
    pub cpu: Duration,
    /// Wall-clock time of the child. Default 90 s.
    pub wall: Duration,
    /// Address space of the child. Default 2 GiB: the largest honest guest seen peaked at 400 MB
    /// resident.
    pub address_space_bytes: u64,
    /// Children at the same time. Default 2.
    pub children: u32,
    /// Functions in one upload, over all of its modules. Default 200,000: Python has 20,000.
    pub functions: u32,
    /// Core modules in one component. Default 64: the most seen is 14.
    pub modules: u32,
    /// Types, imports, exports and data segments of one section. Default 200,000.
    pub section_items: u32,
    /// Components within components. Default 16.
    pub nesting: u32,
    /// Types that the signature of `main` may be written out to. Default 10,000: types share their
    /// parts, so that a few hundred bytes can stand for a million of them, and each becomes a line
    /// of the JSON Schema.
    pub signature_types: u32,
    /// Bytes of the JSON Schema in a script's own custom section. Default 64 KiB; a larger one is
    /// ignored.
    pub schema_bytes: u32,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            cpu: Duration::from_secs(60),
            wall: Duration::from_secs(90),
            address_space_bytes: 2048 * MIB,
            children: 2,
            functions: 200_000,
            modules: 64,
            section_items: 200_000,
            nesting: 16,
            signature_types: 10_000,
            schema_bytes: 64 << 10,
        }
    }
}

/// Depth of JSON values, in arguments and results alike: what serde_json itself reads.
pub const JSON_DEPTH: usize = 128;

/// Names that one call may list in `include_header`, and in `include_query`. Each costs a look-up
/// and may become an argument; a thousand is ten times the headers that a request can have.
pub const INCLUDED_NAMES: usize = 1_000;

/// Parts of one `multipart/form-data` body. Twenty bytes make a part, so that without a bound 16
/// MiB would be close to a million of them; the largest forms that people fill in have some
/// hundred.
pub const MULTIPART_PARTS: usize = 1_000;

/// Bytes of the headers of one part. 8 KiB, as servers commonly allow for a whole request: a
/// field's and a file's name fit many times over.
pub const PART_HEADER_BYTES: usize = 8 << 10;

/// Characters of a multipart boundary: what RFC 2046 allows.
pub const BOUNDARY_CHARS: usize = 70;

/// Variables and resources that the arguments of one run may refer to, by way of resources
/// included. Each is read and opened when the run starts; the largest configurations seen have some
/// dozen.
pub const REFERENCES: usize = 100;

/// How often in a row resources may refer to one another. People nest them two or three deep.
pub const REFERENCE_DEPTH: usize = 16;

/// Bytes of a variable's text. Default 1 MiB: a bundle of every public certificate authority has a
/// quarter of that.
pub const VARIABLE_BYTES: usize = 1 << 20;

/// Bytes of a resource's JSON text. Default 8 MiB, half of what a call may bring: a resource of
/// type `state` keeps what a script was once called with.
pub const RESOURCE_BYTES: usize = 8 << 20;

/// Bytes of a variable's or a resource's description: pages of text, and no place for the value
/// itself.
pub const DESCRIPTION_BYTES: usize = 64 << 10;

/// Characters of a resource's type.
pub const RESOURCE_TYPE_CHARS: usize = 100;

/// Values in the arguments of one typed call, a byte of a `list<u8>` counted as one. Default
/// 4,000,000: each takes some 30 bytes while it is handed over, and wasmtime's own bound for the
/// way back is 128 MiB.
pub const JSON_VALUES: usize = 4_000_000;

/// Bytes of a failure's message, and of its stack. Default 64 KiB: what is longer is output, and
/// belongs in the result or the log.
pub const FAILURE_TEXT_BYTES: usize = 64 << 10;

/// Bytes up to which a command finds its arguments in the variable `WM_ARGS` too. Default 128 KiB,
/// as for one variable on Linux; above it they are on standard input only.
pub const ARGS_VARIABLE_BYTES: usize = 128 << 10;

/// Frames kept of a trap's backtrace.
pub const BACKTRACE_FRAMES: usize = 32;

/// Characters of a token that lists show and revocation takes.
pub const TOKEN_PREFIX_CHARS: usize = 10;

/// Characters of the name of a workspace or a user.
pub const NAME_CHARS: usize = 50;

/// Characters of the path of a script, a variable or a resource.
pub const PATH_CHARS: usize = 255;

/// Characters of one part of a path.
pub const PATH_PART_CHARS: usize = 100;

/// Characters of the tag of a job.
pub const TAG_CHARS: usize = 50;

/// Seconds in the future for which a job may be scheduled: ten years.
pub const SCHEDULE_SECONDS: i64 = 10 * 365 * 86_400;

/// The longest wait that the receiver of a webhook may ask for with `Retry-After`: one day.
pub const RECEIVER_WAIT: Duration = Duration::from_secs(86_400);

/// Core instances of one run. The largest guest seen (Python) has 14 before its modules are merged.
pub const CORE_INSTANCES_PER_RUN: u32 = 32;

/// Memories of one run. The largest guest seen (QuickJS) has 2.
pub const MEMORIES_PER_RUN: u32 = 8;

/// Tables of one run. The largest guest seen has 2.
pub const TABLES_PER_RUN: u32 = 16;

/// Tables of one core module. A core module that is run as it is has one; a few have a second one.
pub const TABLES_PER_MODULE: u32 = 4;

/// Bytes of stack for the wasm part of a call. Deep recursion traps before the stack of the thread
/// ends.
pub const WASM_STACK_BYTES: usize = 512 << 10;

/// Bytes of the name that a script gives to its error.
pub const FAILURE_NAME_BYTES: usize = 100;

/// Bytes of the end of standard error that are kept for the message of a failure.
pub const STDERR_TAIL_BYTES: usize = 2 << 10;

/// Bytes of the name of one function in a backtrace. Names of generic functions can be very long.
pub const BACKTRACE_NAME_BYTES: usize = 200;

/// Bytes of an incomplete line of output that are held back. A longer line is written to the log in
/// parts, between which lines of the other stream may stand.
pub const LOG_LINE_BYTES: usize = 8 << 10;

/// Names of arguments that nothing asked for, which the log of a run lists.
pub const IGNORED_NAMES: usize = 10;

/// Names of exports, and of imports, that the outline of an upload lists. Others are only counted.
pub const OUTLINE_NAMES: usize = 1_000;

/// How long a refusal of the compiler is kept. Long enough to stop many uploads of the same script,
/// short enough that a refusal of an overloaded host is forgotten soon.
pub const REFUSAL_KEPT: Duration = Duration::from_secs(60);

/// Longest wait for the shared artefacts. Compiling a large script takes as long.
pub const SHARED_ARTEFACT_WAIT: Duration = Duration::from_secs(10);

/// Bytes of the largest shared artefact that is read. Others may write to the shared artefacts, and
/// must not be able to fill the memory of this host. The largest artefact seen (Python) has 37 MB.
pub const SHARED_ARTEFACT_BYTES: u64 = 512 << 20;

/// Characters of a value or name that a message quotes; the rest is left out. A reader recognises a
/// value by fewer.
pub const QUOTED_CHARS: usize = 60;

/// Characters of an invalid reference that a message quotes.
pub const QUOTED_REFERENCE_CHARS: usize = 100;

/// Names that a message lists; further names are only counted.
pub const LISTED_NAMES: usize = 20;

/// Bytes of a detail from a parser, the linker or the engine that a refusal shows.
pub const REFUSAL_DETAIL_BYTES: usize = 300;

/// Bytes of a message of the engine that a trap shows.
pub const TRAP_DETAIL_BYTES: usize = 500;

/// Bytes of the message of the compiler that a refusal shows.
pub const COMPILER_MESSAGE_BYTES: usize = 600;

/// Entries of one page of a list (`per_page`), unless the request says otherwise.
pub const PAGE_ENTRIES_DEFAULT: u32 = 1_000;

/// Entries of one page of a list at most. A larger `per_page` means this many.
pub const PAGE_ENTRIES: u32 = 10_000;

/// Variables or resources of one page at most. Each is opened for its page.
pub const VALUES_PAGE_ENTRIES: u32 = 1_000;

/// Events of one page of the delivery log at most. Each brings its attempts along.
pub const DELIVERIES_PAGE_ENTRIES: u32 = 1_000;

/// Scripts that are read from the store at once where all scripts of a workspace are needed.
pub const SCRIPTS_PAGE_ENTRIES: u32 = 1_000;

/// Versions of one script in its history.
pub const HISTORY_VERSIONS: u32 = 1_000;

/// Bytes of a script's description in JSON, beside the module in it.
pub const SCRIPT_DESCRIPTION_BYTES: u64 = 64 << 10;

/// Bytes of a user's address of mail: the most that SMTP can deliver to.
pub const EMAIL_BYTES: usize = 254;

/// Jobs that one request may cancel; 413 above it.
pub const CANCELLED_JOBS: usize = 10_000;

/// Jobs that one request restarts (`limit`), unless the request says otherwise.
pub const RESTARTED_JOBS_DEFAULT: u32 = 1_000;

/// Jobs that one request restarts at most. A larger `limit` means this many; a longer list of ids
/// is refused with 413.
pub const RESTARTED_JOBS: u32 = 10_000;

/// Jobs whose starts one request may ask for; 413 above it. Each is one look-up.
pub const STARTED_AT_JOBS: usize = 100;

/// Characters of a log's tail.
pub const LOG_TAIL_CHARS: usize = 20_000;

/// How long one stream of a job's updates lasts at most. Its reader then asks again.
pub const UPDATE_STREAM: Duration = Duration::from_secs(60);

/// How often a stream of updates looks whether a waiting job runs by now. A job's end is told to
/// the stream at once.
pub const UPDATE_POLL: Duration = Duration::from_secs(1);

/// Bytes of an `Idempotency-Key` at most.
pub const IDEMPOTENCY_KEY_CHARS: usize = 255;

/// How long an idempotency key is remembered: a day.
pub const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(86_400);

/// How often a queued job is started at most. A run that ends in an error is an answer and is not
/// repeated; this counts runs whose process went away.
pub const JOB_STARTS: u32 = 5;

/// Seconds after which a caller may try again who was refused because too much waits.
pub const QUEUE_RETRY_AFTER: u32 = 5;

/// Bytes of a request's body that nobody wants and that is read all the same, so that its sender
/// gets the answer.
pub const DRAINED_BODY_BYTES: usize = 256 << 20;

/// The longest time for which such a body is read.
pub const DRAINED_BODY_TIME: Duration = Duration::from_secs(10);

/// After so long without a message a stream of events sends a `ping`, so that nobody in between
/// takes the stream for dead.
pub const STREAM_PING: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_only_narrow() {
        let host = RunLimits::default();
        let wide = DeclaredLimits { timeout_s: Some(u64::MAX), memory_mib: Some(u64::MAX) };
        assert_eq!(host.narrowed_by(&wide), host);
        let narrow = host.narrowed_by(&DeclaredLimits { timeout_s: Some(2), memory_mib: Some(8) });
        assert_eq!((narrow.wall, narrow.memory_bytes), (Duration::from_secs(2), 8 * MIB));
    }
}
