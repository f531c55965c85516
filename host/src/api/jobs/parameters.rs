//! Query parameters of the operations on jobs.

use crate::api::description::ParameterKind::{Hash, Id, Number, Path, Switch, Text, Time};
use crate::api::description::{Parameter, parameter};

/// Of a list of jobs: what `lists::filter` reads.
pub(super) const JOBS: &[Parameter] = &[
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

/// Of restarting jobs.
pub(super) const RESTART: &[Parameter] = &[
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

/// Of looking at what is new of a job.
pub(super) const UPDATE: &[Parameter] = &[
    parameter("log_offset", Number(0), "Where new log text begins, as the last answer said"),
    parameter("only_result", Switch, "With the result, once there is one"),
    parameter("no_logs", Switch, "Without log text"),
];

/// Of a job's result.
pub(super) const RESULT: &[Parameter] = &[parameter(
    "json_path",
    Text,
    "The part of the result to answer with: keys and indices with dots between",
)];

/// Of a job's result that need not be there yet.
pub(super) const STARTED: &[Parameter] =
    &[parameter("get_started", Switch, "Say of a queued job whether it runs")];
