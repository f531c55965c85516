//! What is done now and then, as a list of tasks with names.

use crate::nodes::lead::Lead;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;

/// How often a node that does not lead a task looks whether it has come to lead it.
const OTHERS: Duration = Duration::from_secs(5);

/// When a task is done again.
pub(crate) enum Again {
    /// After the task's period.
    Later,
    /// At once: there is more to do.
    AtOnce,
    /// After this time.
    After(Duration),
}

type Work = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Again> + Send>> + Send + Sync>;

/// A task that is done now and then.
pub(crate) struct PeriodicTask {
    /// For the log, and for whoever reads the list.
    pub(crate) name: &'static str,
    /// Before the task is done for the first time.
    pub(crate) first: Duration,
    /// Between the end of the task and its next start.
    pub(crate) period: Duration,
    /// Of the nodes that share a store only the one that leads this does the task; `None`: each.
    pub(crate) leader: Option<Arc<Lead>>,
    /// Ends the wait early.
    pub(crate) wake: Option<Arc<Notify>>,
    work: Work,
}

impl PeriodicTask {
    /// One that each node does, first after a period.
    pub(crate) fn new<F>(
        name: &'static str,
        period: Duration,
        work: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Again> + Send + 'static,
    {
        let work: Work = Box::new(move || Box::pin(work()));
        Self { name, first: period, period, leader: None, wake: None, work }
    }

    /// The same, first after another time.
    pub(crate) fn first_after(self, first: Duration) -> Self {
        Self { first, ..self }
    }

    /// The same, done by the one node that leads.
    pub(crate) fn by_leader(self, lead: &Arc<Lead>) -> Self {
        Self { leader: Some(lead.clone()), ..self }
    }

    /// The same, done early when it is woken.
    pub(crate) fn woken_by(self, wake: &Arc<Notify>) -> Self {
        Self { wake: Some(wake.clone()), ..self }
    }

    /// Does the task again and again, until it is dropped.
    pub(crate) async fn run(self) {
        tracing::debug!(task = self.name, period_ms = self.period.as_millis() as u64, "starts");
        let mut wait = self.first;
        loop {
            tokio::select! {
                () = sleep(wait) => {}
                () = woken(self.wake.as_deref()) => {}
            }
            let ours = match &self.leader {
                Some(lead) => lead.is_ours().await,
                None => true,
            };
            wait = if ours {
                match (self.work)().await {
                    Again::Later => self.period,
                    Again::AtOnce => Duration::ZERO,
                    Again::After(time) => time,
                }
            } else {
                self.period.min(OTHERS)
            };
        }
    }
}

async fn woken(wake: Option<&Notify>) {
    match wake {
        Some(wake) => wake.notified().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    /// A task with a period of an hour that says each time that it was done.
    fn told(again: fn(u32) -> Again) -> (PeriodicTask, mpsc::UnboundedReceiver<u32>) {
        let (sender, done) = mpsc::unbounded_channel();
        let times = std::sync::atomic::AtomicU32::new(0);
        let task = PeriodicTask::new("tells", Duration::from_secs(3_600), move || {
            let time = times.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
            let _ = sender.send(time);
            std::future::ready(again(time))
        });
        (task, done)
    }

    async fn is_quiet(done: &mut mpsc::UnboundedReceiver<u32>) -> bool {
        timeout(Duration::from_millis(50), done.recv()).await.is_err()
    }

    #[tokio::test]
    async fn a_period_lies_between_two_times_unless_there_is_more_to_do() {
        let (task, mut done) = told(|time| if time < 3 { Again::AtOnce } else { Again::Later });
        let task = tokio::spawn(task.first_after(Duration::ZERO).run());
        for expected in 1..=3 {
            assert_eq!(done.recv().await, Some(expected));
        }
        assert!(is_quiet(&mut done).await);
        task.abort();
    }

    #[tokio::test]
    async fn a_task_says_itself_when_it_is_done_again() {
        let (task, mut done) = told(|_| Again::After(Duration::from_millis(2)));
        let task = tokio::spawn(task.first_after(Duration::ZERO).run());
        for expected in 1..=5 {
            assert_eq!(done.recv().await, Some(expected));
        }
        task.abort();
    }

    #[tokio::test]
    async fn a_task_that_is_woken_does_not_wait() {
        let (wake, (task, mut done)) = (Arc::new(Notify::new()), told(|_| Again::Later));
        let task = tokio::spawn(task.woken_by(&wake).run());
        assert!(is_quiet(&mut done).await);
        for expected in 1..=3 {
            wake.notify_one();
            assert_eq!(done.recv().await, Some(expected));
        }
        task.abort();
    }
}
