//! Group commit: calls that arrive while earlier ones are being committed make up the next
//! transaction.
//!
//! No timer is needed for that. As long as one of a few lanes is free a call goes at once and
//! alone; when all of them are busy, calls gather until one is free again. A caller is answered
//! after the commit of its transaction and never before; one that has gone away before its turn is
//! passed over.

use crate::{Result, StoreError};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Calls that may be on their way at most; further ones wait for their turn to wait.
const CHANNEL: usize = 16_384;

/// Does a batch: an answer for each call, in their order, or an error for all of them.
type Work<I, O> = Arc<dyn Fn(Vec<I>) -> BoxFuture<'static, Result<Vec<Result<O>>>> + Send + Sync>;

/// A call that waits for its answer.
struct Waiting<I, O> {
    item: I,
    reply: oneshot::Sender<Result<O>>,
}

/// Bounds of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Batches at the same time.
    pub(super) lanes: usize,
    /// Weight of one at most, though a single call may be heavier.
    pub(super) weight: usize,
    /// How long a caller waits.
    pub(super) patience: Duration,
}

/// Commits calls of one sort together.
pub(super) struct GroupCommit<I, O> {
    calls: mpsc::Sender<Waiting<I, O>>,
    patience: Duration,
}

impl<I: Clone + Send + 'static, O: Send + 'static> GroupCommit<I, O> {
    /// Begins to take calls for `work`. Ends when this value is dropped and the last batch is
    /// done.
    pub(super) fn new<W>(bounds: Bounds, weigh: fn(&I) -> usize, work: W) -> Self
    where
        W: Fn(Vec<I>) -> BoxFuture<'static, Result<Vec<Result<O>>>> + Send + Sync + 'static,
    {
        let (calls, inbox) = mpsc::channel(CHANNEL);
        tokio::spawn(run(inbox, bounds, weigh, Arc::new(work)));
        Self { calls, patience: bounds.patience }
    }

    /// Does something as a part of a batch.
    pub(super) async fn call(&self, item: I) -> Result<O> {
        let (reply, answer) = oneshot::channel();
        let done = async {
            self.calls.send(Waiting { item, reply }).await.map_err(|_| closed())?;
            // A dropped channel means that nobody confirmed anything.
            answer.await.map_err(|_| closed())?
        };
        tokio::time::timeout(self.patience, done).await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable(format!(
                "PostgreSQL did not confirm the change within {:?}",
                self.patience
            )))
        })
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

async fn run<I: Clone + Send + 'static, O: Send + 'static>(
    mut inbox: mpsc::Receiver<Waiting<I, O>>,
    bounds: Bounds,
    weigh: fn(&I) -> usize,
    work: Work<I, O>,
) {
    let lanes = Arc::new(Semaphore::new(bounds.lanes.max(1)));
    let mut next = None;
    loop {
        let Some(first) = (match next.take() {
            Some(first) => Some(first),
            None => inbox.recv().await,
        }) else {
            return;
        };
        // More gather while none is free.
        let Ok(lane) = Arc::clone(&lanes).acquire_owned().await else { return };
        let mut weight = weigh(&first.item);
        let mut batch = vec![first];
        while let Ok(call) = inbox.try_recv() {
            weight = weight.saturating_add(weigh(&call.item));
            if weight > bounds.weight {
                next = Some(call);
                break;
            }
            batch.push(call);
        }
        batch.retain(|call| !call.reply.is_closed());
        if batch.is_empty() {
            continue;
        }
        let work = Arc::clone(&work);
        tokio::spawn(async move {
            turn(batch, &work).await;
            drop(lane);
        });
    }
}

async fn turn<I: Clone, O>(batch: Vec<Waiting<I, O>>, work: &Work<I, O>) {
    let (items, replies): (Vec<I>, Vec<_>) =
        batch.into_iter().map(|call| (call.item, call.reply)).unzip();
    // Something that a single call asks for can be the reason why the server refuses the whole
    // batch.
    let single = if items.len() > 1 { items.clone() } else { Vec::new() };
    match work(items).await {
        Ok(answers) => {
            for (reply, answer) in replies.into_iter().zip(answers) {
                // Whoever asked may have gone meanwhile; the work is done all the same.
                let _ = reply.send(answer);
            }
        }
        Err(StoreError::Corrupt(reason)) if !single.is_empty() => {
            tracing::warn!(reason, "a batch of changes was rolled back and is done one by one");
            for (reply, item) in replies.into_iter().zip(single) {
                let answer = match work(vec![item]).await {
                    Ok(answers) => answers.into_iter().next().unwrap_or_else(|| Err(closed())),
                    Err(error) => Err(error),
                };
                let _ = reply.send(answer);
            }
        }
        Err(error) => {
            for reply in replies {
                let _ = reply.send(Err(error.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::sync::Mutex;
    use tokio::sync::Notify;

    fn bounds(lanes: usize, weight: usize) -> Bounds {
        Bounds { lanes, weight, patience: Duration::from_secs(10) }
    }

    #[tokio::test]
    async fn what_arrives_during_a_batch_is_the_next_one() {
        let (batches, go) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let (seen, gate) = (Arc::clone(&batches), Arc::clone(&go));
        let group = Arc::new(GroupCommit::new(
            bounds(1, 6),
            |item: &usize| *item,
            move |items: Vec<usize>| {
                let (seen, gate) = (Arc::clone(&seen), Arc::clone(&gate));
                async move {
                    seen.lock().unwrap().push(items.clone());
                    gate.notified().await;
                    Ok(items
                        .into_iter()
                        .map(|item| if item == 3 { Err(closed()) } else { Ok(item * 10) })
                        .collect())
                }
                .boxed()
            },
        ));
        let mut calls = Vec::new();
        for item in [1, 2, 3, 4] {
            let of = Arc::clone(&group);
            calls.push(tokio::spawn(async move { of.call(item).await }));
            tokio::task::yield_now().await;
        }
        while batches.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        // One that went away meanwhile.
        calls.remove(1).abort();
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            go.notify_one();
        }
        let mut answers = Vec::new();
        for call in calls {
            answers.push(call.await.unwrap().ok());
        }
        assert_eq!(answers, [Some(10), None, Some(40)]);
        // The third and the fourth together would be too heavy.
        assert_eq!(*batches.lock().unwrap(), [vec![1], vec![3], vec![4]]);
    }

    #[tokio::test]
    async fn one_that_spoils_its_batch_is_refused_alone() {
        let gate = Arc::new(Notify::new());
        let wait = Arc::clone(&gate);
        let group = Arc::new(GroupCommit::new(
            bounds(1, 100),
            |_: &i32| 1,
            move |items: Vec<i32>| {
                let wait = Arc::clone(&wait);
                async move {
                    if items == [0] {
                        wait.notified().await;
                    }
                    match items.contains(&13) {
                        true => Err(StoreError::Corrupt("thirteen".into())),
                        false => Ok(items.into_iter().map(Ok).collect()),
                    }
                }
                .boxed()
            },
        ));
        let calls: Vec<_> = [0, 1, 13, 2]
            .map(|item| (Arc::clone(&group), item))
            .into_iter()
            .map(|(group, item)| tokio::spawn(async move { group.call(item).await.is_ok() }))
            .collect();
        tokio::time::sleep(Duration::from_millis(20)).await;
        gate.notify_one();
        let mut answers = Vec::new();
        for call in calls {
            answers.push(call.await.unwrap());
        }
        assert_eq!(answers, [true, true, false, true]);
    }
}
