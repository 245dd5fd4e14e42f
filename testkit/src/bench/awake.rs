//! Load that does not sleep while it waits.

use std::future::pending;

/// Runs `work`, and polls without sleeping while it waits, which keeps this thread busy.
///
/// A sleeping thread is woken by the sender. With both processes on one machine, Envoy would pay
/// for the wake-ups. A slower Envoy would pay more, since its client sleeps more often. On a
/// virtual machine that costs microseconds per response, which a remote client would not cause.
pub async fn awake<T>(work: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        result = work => result,
        () = look() => pending().await,
    }
}

async fn look() {
    loop {
        // The runtime polls its sockets before it resumes a task that has yielded.
        tokio::task::yield_now().await;
    }
}
