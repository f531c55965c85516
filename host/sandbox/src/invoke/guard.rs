//! Runs guest work until it ends, its time is over, it is cancelled, or the host's own code panics.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Which of the four it was.
pub(super) enum End<T> {
    Done(T),
    Deadline,
    Canceled,
    Panicked(String),
}

/// The work is polled first: a call that ends without waiting never sets a timer.
pub(super) async fn guarded<T>(
    work: impl Future<Output = T>,
    deadline: Instant,
    cancel: &CancellationToken,
) -> End<T> {
    if cancel.is_cancelled() {
        return End::Canceled;
    }
    let mut work = pin!(work);
    // A panic unwinds through the guest's stack to here. The store may be in any state then, and is
    // only dropped.
    let work = poll_fn(move |context| {
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(poll) => poll.map(End::Done),
            Err(panic) => Poll::Ready(End::Panicked(message(&*panic))),
        }
    });
    tokio::select! {
        biased;
        end = work => end,
        () = cancel.cancelled() => End::Canceled,
        () = tokio::time::sleep_until(deadline.into()) => End::Deadline,
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
        assert!(matches!(guarded(async { 7 }, soon(), &cancel).await, End::Done(7)));
        assert!(matches!(
            guarded(std::future::pending::<()>(), soon(), &cancel).await,
            End::Deadline
        ));
        let panicking = async {
            tokio::task::yield_now().await;
            panic!("over {}", "board");
        };
        assert!(
            matches!(guarded::<()>(panicking, soon(), &cancel).await, End::Panicked(text) if text == "over board")
        );
        let later = cancel.clone();
        tokio::spawn(async move { later.cancel() });
        assert!(matches!(
            guarded(std::future::pending::<()>(), soon(), &cancel).await,
            End::Canceled
        ));
        assert!(matches!(guarded(async { 7 }, soon(), &cancel).await, End::Canceled));
    }
}
