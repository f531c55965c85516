//! Clients that call a host as fast as it answers, each over a connection of its own, and what they
//! were told.
//!
//! What was acknowledged is written down here and nowhere else, so that it can be held against a
//! host that was killed since.

use crate::host::Host;
use crate::raw::Wire;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Numbers the calls of a process, so that no two have the same name.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// Longest wait for one answer, seconds.
const PATIENCE: u64 = 60;

/// What the clients do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many clients.
    pub clients: usize,
    /// The script that they call.
    pub path: String,
    /// Whether they wait for the result, rather than for the id of a job.
    pub sync: bool,
    /// Whether each call brings an idempotency key along: its name.
    pub keyed: bool,
    /// Further arguments, beside the call's `name`.
    pub more: Value,
}

impl Plan {
    /// Clients that queue jobs.
    pub fn queue(clients: usize, path: &str) -> Self {
        Self { clients, path: path.to_owned(), sync: false, keyed: false, more: json!({}) }
    }

    /// Clients that wait for results.
    pub fn call(clients: usize, path: &str) -> Self {
        Self { sync: true, ..Self::queue(clients, path) }
    }

    /// With this further argument.
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.more[name] = value;
        self
    }

    /// The whole request of a call.
    fn request(&self, token: &str, name: &str) -> String {
        let route = if self.sync { "run_wait_result" } else { "run" };
        let key = if self.keyed { format!("idempotency-key: {name}\r\n") } else { String::new() };
        let mut args = self.more.clone();
        args["name"] = name.into();
        let body = args.to_string();
        format!(
            "POST /api/w/main/jobs/{route}/p/{} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{key}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.path,
            body.len()
        )
    }
}

/// A job that a host said it would run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// The job's id.
    pub id: String,
    /// The call's name, which the script is given.
    pub name: String,
}

/// What clients were told.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// The jobs that were acknowledged.
    pub acknowledged: Vec<Acknowledged>,
    /// The bodies of answers with 200, which are results.
    pub results: Vec<String>,
    /// Calls that were sent and never answered, and when they were sent.
    pub unanswered: Vec<(String, Instant)>,
    /// How many answers there were of each status.
    pub statuses: BTreeMap<u16, u64>,
    /// The last answer that was no success.
    pub refusal: Option<String>,
    /// The longest wait for an answer.
    pub slowest: Duration,
}

impl Ledger {
    /// Adds what others were told.
    pub fn add(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.results.extend(other.results);
        self.unanswered.extend(other.unanswered);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.refusal = other.refusal.or(self.refusal.take());
        self.slowest = self.slowest.max(other.slowest);
    }

    /// How many answers had this status.
    pub fn count(&self, status: u16) -> u64 {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    /// Sends one call; false when it was not answered.
    fn call(&mut self, wire: &mut Wire, plan: &Plan, token: &str, name: String) -> bool {
        let sent = Instant::now();
        if !wire.send(plan.request(token, &name)) {
            self.unanswered.push((name, sent));
            return false;
        }
        let Some(answer) = wire.answer(PATIENCE) else {
            self.unanswered.push((name, sent));
            return false;
        };
        self.slowest = self.slowest.max(sent.elapsed());
        *self.statuses.entry(answer.status).or_default() += 1;
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        match answer.status {
            200 => self.results.push(body),
            201 => self.acknowledged.push(Acknowledged { id: body, name }),
            _ => self.refusal = Some(format!("{}{body}", answer.head)),
        }
        true
    }
}

/// Clients at work. They end when they are told to, or when their connection does.
pub struct Load {
    stop: Arc<AtomicBool>,
    successes: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Ledger>>,
}

impl Load {
    /// Starts them on a host.
    pub fn start(host: &Host, plan: &Plan) -> Self {
        let (stop, successes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients = (0..plan.clients)
            .map(|_| {
                let (address, token, plan) = (host.address, host.token.clone(), plan.clone());
                let (stop, successes) = (stop.clone(), successes.clone());
                std::thread::spawn(move || client(address, &token, &plan, &stop, &successes))
            })
            .collect();
        Self { stop, successes, clients }
    }

    /// Successful answers so far.
    pub fn successes(&self) -> u64 {
        self.successes.load(Ordering::Relaxed)
    }

    /// Tells the clients to end after their next answer, and returns what they were told.
    pub fn end(self) -> Ledger {
        self.stop.store(true, Ordering::Relaxed);
        let mut ledger = Ledger::default();
        for client in self.clients {
            ledger.add(client.join().expect("a client"));
        }
        ledger
    }
}

fn client(
    address: SocketAddr,
    token: &str,
    plan: &Plan,
    stop: &AtomicBool,
    successes: &AtomicU64,
) -> Ledger {
    let mut ledger = Ledger::default();
    // A host that is being killed may be gone already.
    let Some(mut wire) = Wire::try_open(address) else { return ledger };
    while !stop.load(Ordering::Relaxed) {
        let name = format!("N{}", CALLS.fetch_add(1, Ordering::Relaxed));
        let before = ledger.count(200) + ledger.count(201);
        if !ledger.call(&mut wire, plan, token, name) {
            break;
        }
        if ledger.count(200) + ledger.count(201) > before {
            successes.fetch_add(1, Ordering::Relaxed);
        } else {
            // Refused: a client that tried again at once would only measure how fast it can be
            // refused.
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    ledger
}

/// Sends calls again that were not answered, under their old names.
pub fn call_again(host: &Host, plan: &Plan, names: impl IntoIterator<Item = String>) -> Ledger {
    let mut ledger = Ledger::default();
    let mut wire = Wire::open(host.address);
    for name in names {
        assert!(ledger.call(&mut wire, plan, &host.token, name), "the host does not answer");
    }
    ledger
}
