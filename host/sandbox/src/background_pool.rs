//! Where a run is polled: on the thread of its caller, or in a pool of background threads.
//!
//! Most runs end within microseconds, and moving such a run to another thread would cost more than
//! the run itself. So a run starts on the thread of its caller. A run that computes for a whole tick
//! of the epoch clock would delay all other requests of that thread, again at each tick. Such a run
//! moves to the background pool. Its threads have the lowest priority, so they get the processor
//! time that no other thread wants. A run that only waits never moves.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

/// The niceness of the background threads: the lowest priority of ordinary threads.
const NICENESS: i32 = 19;

thread_local! {
    /// True when the run that this thread polled last had computed for a whole tick.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Records that the run which this thread polls now has computed for a whole tick. Called right
/// before the run yields.
pub(crate) fn note_busy() {
    BUSY.set(true);
}

/// A pool of threads with low priority, for runs that compute for long.
pub(crate) struct BackgroundPool {
    /// `None` only while the pool is dropped.
    runtime: Option<Runtime>,
}

impl BackgroundPool {
    /// Starts as many threads as there are processors.
    ///
    /// # Errors
    /// When the system refuses to start threads.
    pub(crate) fn new() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            // Linux shows the first 15 bytes.
            .thread_name("wasmill-backgr")
            .enable_all()
            .on_thread_start(|| {
                // On Linux this changes the priority of the calling thread alone.
                if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
                    tracing::warn!(%error, "long runs cannot be given a lower priority; they may slow others down");
                }
            })
            .build()?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Runs a future in the background pool.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(work);
        }
    }

    /// Polls `run` on the calling thread until `run` ends or calls [`note_busy`]; after that polls
    /// it in the background pool. When the returned future is dropped, `run` is dropped too.
    ///
    /// # Errors
    /// When `run` was dropped in the background pool. This happens only when the pool is dropped.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        mut run: Pin<Box<dyn Future<Output = T> + Send>>,
    ) -> Result<T, JoinError> {
        let here = poll_fn(|context| {
            BUSY.set(false);
            match run.as_mut().poll(context) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if BUSY.take() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        match (here.await, &self.runtime) {
            (Some(done), _) => Ok(done),
            (None, Some(runtime)) => AbortOnDropHandle::new(runtime.spawn(run)).await,
            // Nobody can call this method while the pool is dropped.
            (None, None) => AbortOnDropHandle::new(tokio::spawn(run)).await,
        }
    }
}

impl Drop for BackgroundPool {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The pool may be dropped on a thread of a runtime, which must not wait for threads.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread() -> Option<String> {
        std::thread::current().name().map(str::to_owned)
    }

    #[tokio::test]
    async fn busy_runs_move_to_the_pool_and_others_stay() {
        let pool = BackgroundPool::new().unwrap();
        let here = thread();
        let waits = pool.run(Box::pin(async {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            thread()
        }));
        assert_eq!(waits.await.unwrap(), here);
        let computes = pool.run(Box::pin(async {
            note_busy();
            tokio::task::yield_now().await;
            let nice = rustix::process::getpriority_process(None).unwrap();
            (thread(), nice)
        }));
        assert_eq!(computes.await.unwrap(), (Some("wasmill-backgr".to_owned()), NICENESS));
        assert_ne!(
            rustix::process::getpriority_process(None).unwrap(),
            NICENESS,
            "of these threads alone"
        );
    }

    #[tokio::test]
    async fn a_dropped_run_ends_in_the_pool_too() {
        struct Gone(tokio::sync::mpsc::UnboundedSender<()>);
        impl Drop for Gone {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let pool = BackgroundPool::new().unwrap();
        let (gone, mut told) = tokio::sync::mpsc::unbounded_channel();
        let endless = pool.run(Box::pin(async move {
            let _gone = Gone(gone);
            loop {
                note_busy();
                tokio::task::yield_now().await;
            }
        }));
        assert!(tokio::time::timeout(std::time::Duration::from_millis(50), endless).await.is_err());
        told.recv().await.unwrap();
    }
}
