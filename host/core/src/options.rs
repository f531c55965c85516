//! The options of a run in the query of a call: when it starts, its id, its parent jobs, its
//! timeout.

use crate::id::JobId;
use crate::limits::{SCHEDULE_SECONDS, TAG_CHARS};
use crate::queue::RetryPolicy;
use crate::wire::parse_timestamp;
use std::time::Duration;

/// The options of a call, besides its arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// When a queued job may start, in microseconds since 1970. Absent: at once.
    pub run_at: Option<i64>,
    /// The id of the queued job.
    pub job_id: Option<JobId>,
    /// The parent job.
    pub parent: Option<JobId>,
    /// The job at the root of the tree.
    pub root: Option<JobId>,
    /// The group of workers that may run the job.
    pub tag: Option<String>,
    /// The timeout of the run. The limit of the script applies too.
    pub timeout: Option<Duration>,
    /// When a failed queued run is started again. Replaces the setting of the script.
    pub retry: Option<RetryPolicy>,
    /// A synchronous call is refused when more than this number of jobs are due and waiting.
    pub queue_limit: Option<u64>,
}

impl RunOptions {
    /// Reads the options from a query string. `now` is in microseconds since 1970. Empty values
    /// count as absent. The last one of repeated parameters counts.
    ///
    /// # Errors
    /// A sentence with the parameter and its allowed values.
    pub fn parse(query: &str, now: i64) -> Result<Self, String> {
        let mut options = Self::default();
        let (mut at, mut delay) = (None, None);
        for (key, value) in
            form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty())
        {
            let bad = |expected: &str| {
                format!("The query parameter {key} is {value:?}; it must be {expected}")
            };
            match &*key {
                "scheduled_for" => {
                    at = Some(
                        parse_timestamp(&value)
                            .ok_or_else(|| bad("a time such as 2030-01-31T09:00:00Z"))?,
                    )
                }
                "scheduled_in_secs" => {
                    let seconds: i64 = value.parse().map_err(|_| bad("a number of seconds"))?;
                    delay = Some(now.saturating_add(seconds.max(0).saturating_mul(1_000_000)));
                }
                "job_id" => options.job_id = Some(value.parse().map_err(|_| bad("a UUID"))?),
                "parent_job" => {
                    options.parent = Some(value.parse().map_err(|_| bad("a job's id"))?)
                }
                "root_job" => options.root = Some(value.parse().map_err(|_| bad("a job's id"))?),
                "tag" => {
                    let plain = value.len() <= TAG_CHARS
                        && value
                            .bytes()
                            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
                    options.tag = Some(if plain {
                        value.into_owned()
                    } else {
                        return Err(bad(&format!(
                            "at most {TAG_CHARS} letters, digits, '_', '-' and '.'"
                        )));
                    });
                }
                "timeout" => {
                    let seconds: u32 = value
                        .parse()
                        .ok()
                        .filter(|seconds| *seconds > 0)
                        .ok_or_else(|| bad("a whole number of seconds, 1 or more"))?;
                    options.timeout = Some(Duration::from_secs(seconds.into()));
                }
                "retry" => {
                    options.retry = Some(
                        RetryPolicy::parse(&value)
                            .map_err(|why| format!("The query parameter retry: {why}"))?,
                    )
                }
                "queue_limit" => {
                    options.queue_limit = Some(value.parse().map_err(|_| bad("a number of jobs"))?)
                }
                _ => {}
            }
        }
        options.run_at = at.or(delay);
        if options.run_at.is_some_and(|at| at > now.saturating_add(SCHEDULE_SECONDS * 1_000_000)) {
            return Err("The job is scheduled more than ten years ahead; scheduled_for and scheduled_in_secs must be nearer".into());
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_800_000_000_000_000;

    #[test]
    fn table() {
        let id = "01937f4e-0000-7000-8000-000000000000";
        let job: JobId = id.parse().unwrap();
        let none = RunOptions::default();
        for (query, expected) in [
            (String::new(), none.clone()),
            ("a=1&raw=true&tag=".into(), none.clone()),
            (
                "scheduled_in_secs=3".into(),
                RunOptions { run_at: Some(NOW + 3_000_000), ..none.clone() },
            ),
            ("scheduled_in_secs=-3".into(), RunOptions { run_at: Some(NOW), ..none.clone() }),
            // The earlier of the two names wins, whatever their order.
            (
                "scheduled_for=2027-01-15T08:00:00Z&scheduled_in_secs=3".into(),
                RunOptions { run_at: Some(NOW), ..none.clone() },
            ),
            (format!("job_id={id}"), RunOptions { job_id: Some(job), ..none.clone() }),
            (
                format!("parent_job={id}&root_job={id}"),
                RunOptions { parent: Some(job), root: Some(job), ..none.clone() },
            ),
            ("tag=a&tag=gpu-1".into(), RunOptions { tag: Some("gpu-1".into()), ..none.clone() }),
            (
                "retry=%7B%7D".into(),
                RunOptions { retry: Some(RetryPolicy::default()), ..none.clone() },
            ),
            ("queue_limit=0".into(), RunOptions { queue_limit: Some(0), ..none.clone() }),
            ("timeout=2".into(), RunOptions { timeout: Some(Duration::from_secs(2)), ..none }),
        ] {
            assert_eq!(RunOptions::parse(&query, NOW), Ok(expected), "{query}");
        }
        for (query, name) in [
            ("scheduled_for=tomorrow", "scheduled_for"),
            ("scheduled_for=2099-01-01T00:00:00Z", "ten years"),
            ("scheduled_in_secs=soon", "scheduled_in_secs"),
            ("scheduled_in_secs=9223372036854775807", "ten years"),
            ("job_id=7", "job_id"),
            ("parent_job=x", "parent_job"),
            ("root_job=x", "root_job"),
            ("tag=a b", "tag"),
            ("timeout=0", "timeout"),
            ("timeout=-1", "timeout"),
            ("retry=3", "retry"),
            ("retry=%7B%22constant%22:3%7D", "retry"),
            ("queue_limit=-1", "queue_limit"),
        ] {
            let why = RunOptions::parse(query, NOW).unwrap_err();
            assert!(why.contains(name), "{query}: {why}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(query in ".{0,80}", now: i64) {
            let _ = RunOptions::parse(&query, now);
        }
    }
}
