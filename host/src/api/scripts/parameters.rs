//! Query parameters of the operations on scripts.

use crate::api::description::ParameterKind::{Number, Path, Switch, Text};
use crate::api::description::{Parameter, parameter};

/// Of a list of scripts.
pub(super) const PAGE: &[Parameter] = &[
    parameter("per_page", Number(0), "Entries of a page, at most 10000; else 1000"),
    parameter("after", Path, "The path after which the page begins"),
];

/// Of an upload: a script's settings.
pub(super) const UPLOAD: &[Parameter] = &[
    parameter("summary", Text, "One line about the script"),
    parameter("timeout_s", Number(0), "Longest run, seconds; never above the host's"),
    parameter("memory_mib", Number(0), "Memory of a run, MiB; never above the host's"),
    parameter(
        "delete_after_use",
        Switch,
        "Synchronous runs leave nothing but the fact; queued ones are erased once their result \
         was read",
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
