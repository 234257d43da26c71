//! Work that one process at a time does for a store.

use std::{pin::pin, time::Duration};

use futures_util::future::select;

use crate::{
    changeset::ConsumerName,
    ports::{Lease, StoreError, Timer},
    services::Alm,
};

/// How often whoever has the role makes sure of it, and whoever has it not tries to get it.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Works whenever no other process on this store does: the `role`, which `what` says for the log.
pub(super) async fn in_turn<W>(
    alm: &Alm,
    role: &ConsumerName,
    what: &'static str,
    timer: &dyn Timer,
    work: impl Fn() -> W,
) where
    W: Future<Output = ()>,
{
    loop {
        match alm.inner.store.lead(role).await {
            Ok(Some(lease)) => {
                tracing::info!("this process {what}");
                select(pin!(work()), pin!(lost(lease, timer))).await;
                tracing::warn!("this process {what} no more");
            }
            Ok(None) => tracing::trace!("another process {what}"),
            Err(StoreError::Unsupported(_)) => {
                tracing::warn!("the store lends no roles: let no other process work on it");
                work().await;
            }
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "who {what} is not known"),
        }
        timer.sleep(LOOK_AGAIN).await;
    }
}

async fn lost(mut lease: Box<dyn Lease>, timer: &dyn Timer) {
    loop {
        timer.sleep(LOOK_AGAIN).await;
        if !lease.is_held().await {
            return;
        }
    }
}
