//! What became of acknowledged jobs, asked of a host.

use crate::host::Host;
use crate::load::Acknowledged;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Entries that a list is asked for at once.
const PAGE: usize = 10_000;

/// What became of a number of jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endings {
    /// Jobs that ended once, with success, under the name that they were queued with.
    pub completed: usize,
    /// How many of them were started more than once.
    pub started_again: usize,
    /// Jobs that the host knows nothing of.
    pub lost: Vec<String>,
    /// Jobs that ended in another way, or not, or more than once; each with what is wrong.
    pub wrong: Vec<String>,
}

impl Endings {
    /// Nothing was lost, and nothing went wrong.
    pub fn are_good(&self) -> bool {
        self.lost.is_empty() && self.wrong.is_empty()
    }
}

/// Waits until a host has nothing more to do. Panics when that takes longer than `within` seconds,
/// and tells what is left.
pub fn drained(host: &Host, within: u64) {
    let end = Instant::now() + Duration::from_secs(within);
    let waiting = || host.get("/api/w/main/jobs/queue/count").json()["database_length"].clone();
    let running = || host.get("/api/w/main/jobs/list?per_page=1&running=true").json();
    loop {
        // Jobs go from waiting to running meanwhile, and back.
        let left = (waiting(), running(), waiting());
        if left.0 == 0 && left.1 == json!([]) && left.2 == 0 {
            return;
        }
        assert!(
            Instant::now() < end,
            "the queue is not empty after {within} s: {} wait, and there runs {}",
            left.2,
            left.1
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Looks for jobs of a script that is given a `name`, and answers with a `greeting`.
pub fn endings(host: &Host, jobs: &[Acknowledged]) -> Endings {
    let mut known: HashMap<String, Vec<Value>> = HashMap::new();
    for job in all_jobs(host) {
        known.entry(job["id"].as_str().expect("an id").to_owned()).or_default().push(job);
    }
    let mut endings = Endings::default();
    for Acknowledged { id, name } in jobs {
        match known.get(id).map(Vec::as_slice) {
            None => endings.lost.push(id.clone()),
            Some([job]) if job["success"] == true && job["args"]["name"] == json!(name) => {
                endings.completed += 1;
                endings.started_again += usize::from(job["attempt"] != 1);
                // Lists are without results, and to look at each job takes too long.
                if endings.completed % 50 == 1
                    && host.job(id)["result"]["greeting"] != json!(format!("Hello {name}!"))
                {
                    endings.wrong.push(format!("{id}: {}", host.job(id)));
                }
            }
            Some(found) => endings.wrong.push(format!("{id} ({name}): {found:?}")),
        }
    }
    endings
}

/// How often each name was queued, by all the jobs there are.
pub fn queued_names(host: &Host) -> HashMap<String, u64> {
    let mut names = HashMap::new();
    for job in all_jobs(host) {
        if let Some(name) = job["args"]["name"].as_str() {
            *names.entry(name.to_owned()).or_default() += 1;
        }
    }
    names
}

fn all_jobs(host: &Host) -> Vec<Value> {
    let mut jobs: Vec<Value> = Vec::new();
    loop {
        let before = jobs
            .last()
            .map(|job| format!("&before={}", job["id"].as_str().expect("an id")))
            .unwrap_or_default();
        let answer =
            host.get(&format!("/api/w/main/jobs/list?include_args=true&per_page={PAGE}{before}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.json().as_array().expect("a list").clone();
        let count = page.len();
        jobs.extend(page);
        if count < PAGE {
            return jobs;
        }
    }
}
