//! Which thread a run is on: the one that asked for it, or threads aside for runs that take long.
//!
//! Most runs are over in microseconds, and crossing to another thread would cost more than they do.
//! But one that computes on and on holds up everybody whose request is on the same thread, if only
//! until its next tick, again and again. So it goes aside once it has computed for a whole tick: to
//! threads that the system gives time when no others want it. A run that only waits never does.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

/// The lowest priority that there is for ordinary threads (`nice`).
const ASIDE: i32 = 19;

thread_local! {
    /// A run that was polled last on this thread had computed for a whole tick.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Notes that the run which is polled just now has computed for a whole tick, and is about to give
/// its thread back.
pub(crate) fn note_busy() {
    BUSY.set(true);
}

/// The threads aside.
pub(crate) struct Lanes {
    /// `None` only while this is dropped.
    aside: Option<Runtime>,
}

impl Lanes {
    /// As many threads as there are processors.
    ///
    /// # Errors
    /// When the system refuses threads.
    pub(crate) fn new() -> io::Result<Self> {
        let aside = Builder::new_multi_thread()
            .thread_name("wasmill-aside")
            .enable_all()
            .on_thread_start(|| {
                // Of the calling thread alone, on Linux.
                if let Err(error) = rustix::process::setpriority_process(None, ASIDE) {
                    tracing::warn!(%error, "long runs cannot be given a lower priority; they may slow others down");
                }
            })
            .build()?;
        Ok(Self { aside: Some(aside) })
    }

    /// Does something aside.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(aside) = &self.aside {
            aside.spawn(work);
        }
    }

    /// Polls a run here until it is over or proves busy, and then aside. When the future is
    /// dropped, so is the run.
    ///
    /// # Errors
    /// When the run was dropped aside, which is when the sandbox is.
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
        match (here.await, &self.aside) {
            (Some(done), _) => Ok(done),
            (None, Some(aside)) => AbortOnDropHandle::new(aside.spawn(run)).await,
            // Nobody can call while this is dropped.
            (None, None) => AbortOnDropHandle::new(tokio::spawn(run)).await,
        }
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        if let Some(aside) = self.aside.take() {
            // May be on a thread of a runtime, where waiting for threads is not allowed.
            aside.shutdown_background();
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
    async fn busy_runs_go_aside_and_others_stay() {
        let lanes = Lanes::new().unwrap();
        let here = thread();
        let waits = lanes.run(Box::pin(async {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            thread()
        }));
        assert_eq!(waits.await.unwrap(), here);
        let computes = lanes.run(Box::pin(async {
            note_busy();
            tokio::task::yield_now().await;
            let nice = rustix::process::getpriority_process(None).unwrap();
            (thread(), nice)
        }));
        assert_eq!(computes.await.unwrap(), (Some("wasmill-aside".to_owned()), ASIDE));
        assert_ne!(
            rustix::process::getpriority_process(None).unwrap(),
            ASIDE,
            "of these threads alone"
        );
    }

    #[tokio::test]
    async fn a_dropped_run_ends_aside_too() {
        struct Gone(tokio::sync::mpsc::UnboundedSender<()>);
        impl Drop for Gone {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let lanes = Lanes::new().unwrap();
        let (gone, mut told) = tokio::sync::mpsc::unbounded_channel();
        let endless = lanes.run(Box::pin(async move {
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
