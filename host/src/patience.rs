//! Waiting no longer than so long, at no cost for what is there at once.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// As [`tokio::time::timeout`], but a clock is read and a timer made only when the future is not
/// ready when it is polled first. Nearly all of what a request waits for is.
///
/// # Errors
/// When the time is over.
pub(crate) async fn within<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
    {
        return Ok(output);
    }
    timeout(duration, future).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_ready_is_never_late_and_what_is_not_is_waited_for() {
        assert_eq!(within(Duration::ZERO, async { 7 }).await, Ok(7));
        let soon = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            8
        };
        assert_eq!(within(Duration::from_secs(20), soon).await, Ok(8));
        assert!(within(Duration::from_millis(5), std::future::pending::<()>()).await.is_err());
    }
}
