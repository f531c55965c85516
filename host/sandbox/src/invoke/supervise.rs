//! Runs the future of a guest call until it ends, the deadline passes, the call is cancelled, or
//! code of the host panics.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// How a supervised future ended.
pub(super) enum Supervised<T> {
    Finished(T),
    DeadlinePassed,
    Canceled,
    /// With the message of the panic.
    Panicked(String),
}

/// Polls `work` until it ends, `deadline` passes, `cancel` is cancelled, or `work` panics. `work` is
/// polled before the timer is made: a call that ends without waiting never sets a timer.
pub(super) async fn supervise<T>(
    work: impl Future<Output = T>,
    deadline: Instant,
    cancel: &CancellationToken,
) -> Supervised<T> {
    if cancel.is_cancelled() {
        return Supervised::Canceled;
    }
    let mut work = pin!(work);
    // A panic unwinds through the stack of the guest to here. The store may be in any state after
    // that, so it is dropped and not used again.
    let work = poll_fn(move |context| {
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(poll) => poll.map(Supervised::Finished),
            Err(panic) => Poll::Ready(Supervised::Panicked(message(&*panic))),
        }
    });
    tokio::select! {
        biased;
        end = work => end,
        () = cancel.cancelled() => Supervised::Canceled,
        () = tokio::time::sleep_until(deadline.into()) => Supervised::DeadlinePassed,
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn four_ends() {
        let soon = || Instant::now() + Duration::from_millis(20);
        let cancel = CancellationToken::new();
        assert!(matches!(supervise(async { 7 }, soon(), &cancel).await, Supervised::Finished(7)));
        assert!(matches!(
            supervise(std::future::pending::<()>(), soon(), &cancel).await,
            Supervised::DeadlinePassed
        ));
        let panicking = async {
            tokio::task::yield_now().await;
            panic!("over {}", "board");
        };
        assert!(
            matches!(supervise::<()>(panicking, soon(), &cancel).await, Supervised::Panicked(text) if text == "over board")
        );
        let later = cancel.clone();
        tokio::spawn(async move { later.cancel() });
        assert!(matches!(
            supervise(std::future::pending::<()>(), soon(), &cancel).await,
            Supervised::Canceled
        ));
        assert!(matches!(supervise(async { 7 }, soon(), &cancel).await, Supervised::Canceled));
    }
}
