//! Load that does not sleep while it waits.

use std::future::pending;

/// Runs `work`, and looks for news without a pause while it waits, which keeps this thread busy.
///
/// A thread that sleeps is woken by whoever sends it something. Of two processes on one machine, Envoy would pay for
/// that: more of it the slower it is, since its client sleeps more often then. On a virtual machine that is microseconds for
/// a response, and it says nothing of a client that is somewhere else.
pub async fn awake<T>(work: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        result = work => result,
        () = look() => pending().await,
    }
}

async fn look() {
    loop {
        // The runtime polls its sockets before it goes on with a task that has yielded.
        tokio::task::yield_now().await;
    }
}
