//! The server looks after its own audit log: once in a while all of it is verified.

use std::{error::Error, time::Duration};

use alm_core::{
    ports::Store,
    services::{Verification, VerifyError, verify_audit},
    tlog::{Checkpoint, Verifier},
};

use crate::{settings::Settings, storage::Storage};

use super::key;

/// The first time so long after the start, when there is less else to do.
const FIRST: Duration = Duration::from_mins(1);
/// How soon again when nothing could be told.
const AGAIN: Duration = Duration::from_mins(10);

/// Verifies the audit log for ever, as often as the settings say.
pub(crate) async fn keep_verifying(settings: &Settings, storage: &Storage) -> Result<(), Box<dyn Error>> {
    let every = Duration::from_secs(u64::from(settings.audit_verify_hours) * 60 * 60);
    let verifiers = key::verifiers(settings)?;
    if every.is_zero() || verifiers.is_empty() {
        return std::future::pending().await;
    }
    let mut watch = Watch { storage, verifiers, known: None };
    let mut pause = FIRST;
    loop {
        tokio::time::sleep(pause).await;
        pause = if watch.look().await { every } else { AGAIN };
    }
}

struct Watch<'a> {
    storage: &'a Storage,
    verifiers: Vec<Verifier>,
    /// The newest checkpoint that was right the time before: what is taken back since, with its checkpoints, is noticed by it.
    known: Option<Checkpoint>,
}

impl Watch<'_> {
    /// Verifies all of it once and reports what was found; false when nothing can be told.
    async fn look(&mut self) -> bool {
        let failed = metrics::gauge!("alm_audit_verification_failed");
        match self.verified().await {
            Ok(Verification { tampered: Some(tampered), .. }) => {
                failed.set(1.0);
                tracing::error!(index = tampered.index, what = %tampered, "the audit log was tampered with");
            }
            Ok(Verification { entries, checkpoints: 0, .. }) if entries > 0 => {
                tracing::warn!(entries, "the audit log has no checkpoint, so nothing can be told of it");
                return false;
            }
            Ok(Verification { entries, checkpoints, .. }) => {
                failed.set(0.0);
                tracing::info!(entries, checkpoints, "the audit log is as it was signed");
            }
            Err(error) if error.is_of_the_data() => {
                failed.set(1.0);
                tracing::error!(error = &error as &dyn Error, "what is kept beside the audit log was tampered with");
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn Error, "the audit log could not be verified");
                return false;
            }
        }
        if let Ok(now) = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            metrics::gauge!("alm_audit_verified_timestamp_seconds").set(now.as_secs_f64());
        }
        true
    }

    async fn verified(&mut self) -> Result<Verification, VerifyError> {
        let (store, tree) = (self.storage.store(), self.storage.tree());
        let newest = tree.newest_checkpoint().await?;
        let mut source: &dyn Store = store.as_ref();
        let known = self.known.as_slice();
        let found = verify_audit(&mut source, Some(tree.as_ref()), &self.verifiers, known, &mut |_| ()).await?;
        if found.tampered.is_none() {
            self.known = newest.and_then(|newest| Checkpoint::open(&newest.note, &self.verifiers).ok());
        }
        Ok(found)
    }
}
