//! Turns: what shares a thread must not keep the others from working.

use std::task::Poll;

/// Lets the others have their turn: a store that answers at once would otherwise keep them waiting for the whole backlog.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
