//! What nodes tell each other, by the server's notifications.
//!
//! A notification that is sent within a transaction that writes makes all such transactions wait
//! for each other. So they go through a connection of their own, which writes nothing, and many are
//! sent as one. The same connection listens. It is made again whenever it breaks; what was told
//! meanwhile is lost, and so everything is looked at then.

use super::connect::Connector;
use super::options::Causes;
use crate::Signal;
use std::collections::{HashSet, VecDeque};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_postgres::{AsyncMessage, Client};
use wasmill_core::JobId;

/// Where nodes tell and listen.
const CHANNEL: &str = "wasmill";
/// Between two sendings, so that there are not more than a hundred in a second.
const PERIOD: Duration = Duration::from_millis(10);
/// Ids in one notification: those and the rest are shorter than the 8,000 bytes that one may have.
const IDS: usize = 240;
/// Ids that wait to be sent; more are forgotten, the oldest first.
const MAX_IDS: usize = 65_536;
/// Signals that a receiver may be behind.
const BEHIND: usize = 1_024;
/// Signals on their way to the task.
const OUTGOING: usize = 4_096;
/// Between two attempts to connect: first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// Between two signs of life, without which nobody would notice that a connection is dead.
const ALIVE: Duration = Duration::from_secs(20);
/// How long connecting or sending may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// This node's end of the wire.
#[derive(Debug)]
pub(super) struct Wire {
    outgoing: mpsc::Sender<Signal>,
    heard: broadcast::Sender<Signal>,
}

impl Wire {
    /// Listens from now on, or as soon as that is possible. Ends when this value is dropped.
    pub(super) async fn open(connector: Connector, node: u64, outbox: watch::Sender<u64>) -> Self {
        let (outgoing, inbox) = mpsc::channel(OUTGOING);
        let heard = broadcast::Sender::new(BEHIND);
        let first = Link::open(&connector).await.ok();
        tokio::spawn(run(connector, node, first, inbox, heard.clone(), outbox));
        Self { outgoing, heard }
    }

    /// Tells this node at once and the others soon.
    pub(super) fn send(&self, signal: Signal) {
        // Nobody who listens is nobody to tell.
        let _ = self.heard.send(signal.clone());
        if self.outgoing.try_send(signal).is_err() {
            tracing::debug!("a signal to other nodes was dropped");
        }
    }

    /// What is told from now on.
    pub(super) fn listen(&self) -> broadcast::Receiver<Signal> {
        self.heard.subscribe()
    }
}

/// Signals that are to be sent.
#[derive(Debug, Default)]
struct Outgoing {
    queued: bool,
    canceled: bool,
    changed: bool,
    outbox: bool,
    ended: VecDeque<JobId>,
    known: HashSet<JobId>,
}

impl Outgoing {
    fn add(&mut self, signal: Signal) {
        match signal {
            Signal::Queued => self.queued = true,
            Signal::Canceled => self.canceled = true,
            Signal::Changed => self.changed = true,
            Signal::Outbox => self.outbox = true,
            Signal::Ended(ids) => {
                for id in ids {
                    if self.known.insert(id) {
                        self.ended.push_back(id);
                    }
                }
                while self.ended.len() > MAX_IDS {
                    self.known
                        .remove(&self.ended.pop_front().unwrap_or(JobId::from_bytes([0; 16])));
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        !(self.queued || self.canceled || self.changed || self.outbox) && self.ended.is_empty()
    }

    /// The texts of notifications, of which there is none when nothing is to be sent.
    fn take(&mut self, node: u64) -> Vec<String> {
        let Self { queued, canceled, changed, outbox, ended, .. } = std::mem::take(self);
        let mut flags = String::new();
        for (flag, letter) in [(queued, 'q'), (canceled, 'c'), (changed, 'g'), (outbox, 'o')] {
            if flag {
                flags.push(letter);
            }
        }
        let ids: Vec<JobId> = ended.into();
        let mut texts: Vec<String> =
            ids.chunks(IDS).map(|ids| ids.iter().map(|id| hex(*id)).collect()).collect();
        if texts.is_empty() && !flags.is_empty() {
            texts.push(String::new());
        }
        for (n, text) in texts.iter_mut().enumerate() {
            *text = format!("{node:x} {} {text}", if n == 0 { flags.as_str() } else { "" });
        }
        texts
    }
}

fn hex(id: JobId) -> String {
    id.to_string().replace('-', "")
}

/// The signals of a notification; none of one of this node itself, or that is not understood, as a
/// newer program's may be.
fn signals(text: &str, node: u64) -> Vec<Signal> {
    let mut parts = text.splitn(3, ' ');
    let (from, flags, ids) =
        (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    if from == format!("{node:x}") {
        return Vec::new();
    }
    let mut told: Vec<Signal> = flags
        .chars()
        .filter_map(|letter| match letter {
            'q' => Some(Signal::Queued),
            'c' => Some(Signal::Canceled),
            'g' => Some(Signal::Changed),
            'o' => Some(Signal::Outbox),
            _ => None,
        })
        .collect();
    let ids: Vec<JobId> = ids
        .as_bytes()
        .chunks(32)
        .filter_map(|id| std::str::from_utf8(id).ok())
        .filter_map(|id| id.parse().ok())
        .collect();
    if !ids.is_empty() {
        told.push(Signal::Ended(ids));
    }
    told
}

/// A connection, and what is heard on it until it ends.
struct Link {
    client: Client,
    heard: mpsc::UnboundedReceiver<String>,
}

impl Link {
    async fn open(connector: &Connector) -> Result<Self, String> {
        let (told, heard) = mpsc::unbounded_channel();
        let connected = async {
            let hear = move |message| {
                if let AsyncMessage::Notification(notification) = message {
                    // Nobody listens any more when the store is dropped.
                    let _ = told.send(notification.payload().to_owned());
                }
            };
            let client = connector.connect(hear).await?;
            client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
            Ok(Self { client, heard })
        };
        match tokio::time::timeout(PATIENCE, connected).await {
            Ok(connected) => {
                connected.map_err(|error: tokio_postgres::Error| Causes(&error).to_string())
            }
            Err(_) => Err("it takes too long to connect".into()),
        }
    }
}

async fn run(
    connector: Connector,
    node: u64,
    first: Option<Link>,
    mut inbox: mpsc::Receiver<Signal>,
    heard: broadcast::Sender<Signal>,
    outbox: watch::Sender<u64>,
) {
    let tell = move |signal: Signal| {
        if signal == Signal::Outbox {
            outbox.send_modify(|changes| *changes = changes.wrapping_add(1));
        }
        let _ = heard.send(signal);
    };
    let mut outgoing = Outgoing::default();
    let mut link = first;
    let mut pause = PAUSES.0;
    let mut is_known = false;
    loop {
        if let Some(open) = link.take() {
            pause = PAUSES.0;
            match serve(open, node, &mut inbox, &mut outgoing, &tell).await {
                Ok(()) => return,
                Err(reason) => tracing::warn!(reason, "the connection to other nodes broke"),
            }
        }
        // What is to be told meanwhile is kept, as far as it goes.
        let until = tokio::time::Instant::now() + pause;
        pause = (pause * 2).min(PAUSES.1);
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => break,
                signal = inbox.recv() => match signal {
                    Some(signal) => outgoing.add(signal),
                    None => return,
                },
            }
        }
        match Link::open(&connector).await {
            Ok(open) => {
                tracing::info!("other nodes are heard again");
                link = Some(open);
                is_known = false;
                // Nobody knows what was missed.
                [Signal::Queued, Signal::Canceled, Signal::Changed, Signal::Outbox]
                    .into_iter()
                    .for_each(&tell);
            }
            Err(reason) => {
                if !is_known {
                    tracing::warn!(reason, "other nodes can't be heard; it is tried again");
                }
                is_known = true;
            }
        }
    }
}

/// Sends and tells until the connection breaks, or the store is dropped.
async fn serve(
    mut link: Link,
    node: u64,
    inbox: &mut mpsc::Receiver<Signal>,
    outgoing: &mut Outgoing,
    tell: &impl Fn(Signal),
) -> Result<(), String> {
    let mut next = tokio::time::Instant::now();
    let mut alive = next + ALIVE;
    loop {
        if tokio::time::Instant::now() >= next && !outgoing.is_empty() {
            send(&link.client, &outgoing.take(node)).await?;
            next = tokio::time::Instant::now() + PERIOD;
            alive = next + ALIVE;
        }
        tokio::select! {
            signal = inbox.recv() => match signal {
                Some(signal) => outgoing.add(signal),
                None => return Ok(()),
            },
            text = link.heard.recv() => match text {
                Some(text) => signals(&text, node).into_iter().for_each(tell),
                None => return Err("the server closed it".into()),
            },
            () = tokio::time::sleep_until(next), if !outgoing.is_empty() => {}
            () = tokio::time::sleep_until(alive) => {
                send(&link.client, &[]).await?;
                alive = tokio::time::Instant::now() + ALIVE;
            }
        }
    }
}

async fn send(client: &Client, texts: &[String]) -> Result<(), String> {
    let sql = "SELECT pg_notify('wasmill', t) FROM unnest($1::text[]) t";
    match tokio::time::timeout(PATIENCE, client.query(sql, &[&texts])).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Causes(&error).to_string()),
        Err(_) => Err("the server does not answer".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> JobId {
        JobId::from_parts(1_700_000_000_000 + n, 7, n * 77)
    }

    #[test]
    fn what_one_node_sends_others_understand() {
        let mut outgoing = Outgoing::default();
        assert!(outgoing.take(1).is_empty());
        for signal in [Signal::Queued, Signal::Queued, Signal::Changed, Signal::Outbox] {
            outgoing.add(signal);
        }
        let many: Vec<JobId> = (0..600).map(id).collect();
        outgoing.add(Signal::Ended(many.clone()));
        outgoing.add(Signal::Ended(vec![id(3)]));
        let texts = outgoing.take(0xabc);
        assert_eq!(texts.len(), 3);
        assert!(texts.iter().all(|text| text.len() < 8_000), "{}", texts[0].len());
        let heard: Vec<Signal> = texts.iter().flat_map(|text| signals(text, 7)).collect();
        assert_eq!(heard[..3], [Signal::Queued, Signal::Changed, Signal::Outbox]);
        let ended: Vec<JobId> = heard[3..]
            .iter()
            .flat_map(|signal| if let Signal::Ended(ids) = signal { ids.clone() } else { vec![] })
            .collect();
        assert_eq!(ended, many);
        assert!(texts.iter().all(|text| signals(text, 0xabc).is_empty()));
        assert!(outgoing.take(1).is_empty());
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        for text in ["", "x", "1 ", "1 zz", "1 z 123", "1  é", "\u{0}"] {
            assert!(signals(text, 7).is_empty(), "{text:?}");
        }
        assert_eq!(signals("1 zq", 7), [Signal::Queued]);
    }

    #[test]
    fn too_many_ids_push_out_the_oldest() {
        let mut outgoing = Outgoing::default();
        let all: Vec<JobId> = (0..MAX_IDS as u64 + 5).map(id).collect();
        outgoing.add(Signal::Ended(all));
        assert_eq!(outgoing.ended.front(), Some(&id(5)));
        assert_eq!(outgoing.known.len(), MAX_IDS);
    }
}
