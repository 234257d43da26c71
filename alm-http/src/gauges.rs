//! What stands in the store, reported when someone looks.

use std::time::{Duration, Instant};

use alm_core::{
    Alm,
    domain::Timestamp,
    ports::{BusState, StoreError},
    services::StoreState,
};
use tokio::sync::Mutex;

/// Up to so many dead letters are counted: what matters is whether there are any, and each is read for it.
const MOST_LETTERS: usize = 20;
/// For so long what was read counts, however often it is asked for.
const FRESH: Duration = Duration::from_secs(1);

/// When the gauges were set last. They belong to the process, as the recorder does.
static READ: Mutex<Option<Instant>> = Mutex::const_new(None);

/// Sets the gauges of `alm`, at most once a second; whoever comes meanwhile does not wait. What the store does not tell within
/// `patience` stays as it was.
pub(crate) async fn report(alm: &Alm, patience: Duration) {
    let Ok(mut read) = READ.try_lock() else { return };
    if read.is_some_and(|read| read.elapsed() < FRESH) {
        return;
    }
    *read = Some(Instant::now());
    if let Some(bus) = alm.bus() {
        metrics::gauge!("alm_bus_up").set(f64::from(u8::from(bus.state() == BusState::Up)));
    }
    let state = tokio::time::timeout(patience, alm.store_state()).await.unwrap_or(StoreState::Down);
    metrics::gauge!("alm_store_up").set(f64::from(u8::from(state == StoreState::Up)));
    // Whoever can't be asked now would only keep the scrape waiting.
    if state != StoreState::Down
        && let Ok(Err(error)) = tokio::time::timeout(patience, stored(alm)).await
    {
        tracing::debug!(error = &error as &dyn std::error::Error, "metrics are not read");
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; 2⁵³ events are far")]
async fn stored(alm: &Alm) -> Result<(), StoreError> {
    let now = alm.now();
    for consumer in alm.progress().await? {
        metrics::gauge!("alm_log_head_position").set(consumer.head.get() as f64);
        let name = consumer.consumer.to_string();
        metrics::gauge!("alm_consumer_lag_events", "consumer" => name.clone()).set(consumer.lag() as f64);
        let since = if consumer.lag() > 0 { alm.waiting_since(consumer.position).await? } else { None };
        let waits = since.map_or(0.0, |since| seconds(now) - seconds(since));
        metrics::gauge!("alm_consumer_lag_seconds", "consumer" => name.clone()).set(waits.max(0.0));
        let letters = alm.store().dead_letters(&consumer.consumer, None, MOST_LETTERS).await?;
        metrics::gauge!("alm_dead_letters", "consumer" => name).set(letters.len() as f64);
    }
    metrics::gauge!("alm_log_oldest_position").set(alm.store().oldest().await?.get() as f64);
    if let Some(newest) = alm.audit().tree().newest().await? {
        metrics::gauge!("alm_audit_entries").set(newest.size as f64);
        metrics::gauge!("alm_audit_checkpoint_timestamp_seconds").set(seconds(newest.at));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "microseconds are exact until the year 2255")]
fn seconds(at: Timestamp) -> f64 {
    at.micros() as f64 / 1e6
}
