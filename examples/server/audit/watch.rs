//! The server looks after its own audit log: once in a while all of it is verified.

use std::{error::Error, sync::Arc, time::Duration};

use alm_core::{
    ports::{Store, TreeStore},
    services::{Verification, verify_audit},
    tlog::Verifier,
};

use crate::{settings::Settings, storage::Storage};

use super::key;

/// The first time so long after the start, when there is less else to do.
const FIRST: Duration = Duration::from_mins(1);
/// How soon again when the log could not be read.
const AGAIN: Duration = Duration::from_mins(10);

/// Verifies the audit log for ever, as often as the settings say.
pub(crate) async fn keep_verifying(settings: &Settings, storage: &Storage) -> Result<(), Box<dyn Error>> {
    let every = Duration::from_secs(u64::from(settings.audit_verify_hours) * 60 * 60);
    let verifiers = key::verifiers(settings)?;
    if every.is_zero() || verifiers.is_empty() {
        return std::future::pending().await;
    }
    let mut pause = FIRST.min(every);
    loop {
        tokio::time::sleep(pause).await;
        pause = if verified(storage.store(), storage.tree(), &verifiers).await { every } else { AGAIN.min(every) };
    }
}

/// Verifies it once and reports what was found; false when it could not be read.
async fn verified(store: Arc<dyn Store>, tree: Arc<dyn TreeStore>, verifiers: &[Verifier]) -> bool {
    let mut source: &dyn Store = store.as_ref();
    let found = match verify_audit(&mut source, Some(tree.as_ref()), verifiers, &[], &mut |_| ()).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(error = &error as &dyn Error, "the audit log could not be verified");
            return false;
        }
    };
    let failed = metrics::gauge!("alm_audit_verification_failed");
    if let Some(tampered) = &found.tampered {
        failed.set(1.0);
        tracing::error!(index = tampered.index, what = %tampered, "the audit log was tampered with");
    } else {
        failed.set(0.0);
        let Verification { entries, checkpoints, .. } = found;
        tracing::info!(entries, checkpoints, "the audit log is as it was signed");
    }
    if let Ok(now) = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
        metrics::gauge!("alm_audit_verified_timestamp_seconds").set(now.as_secs_f64());
    }
    true
}
