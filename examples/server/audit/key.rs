//! The key of the audit log, and where its checkpoints go.

use std::{
    error::Error,
    fs::OpenOptions,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::PathBuf,
    sync::Arc,
};

use alm_bus_nats::NatsBus;
use alm_core::{
    ports::{BackendError, CheckpointOutlet, KeptCheckpoint},
    services::AuditTree,
    tlog::{KeyError, Signer, Verifier},
};
use async_trait::async_trait;

use crate::{
    settings::Settings,
    storage::{Kept, Storage},
};

/// The tree over the audit log; none when it is not signed.
pub(crate) async fn tree(
    settings: &Settings,
    storage: &Storage,
    bus: Option<&NatsBus>,
) -> Result<Option<AuditTree>, Box<dyn Error>> {
    let is_signed = storage.tree().newest_checkpoint().await?.is_some();
    let key = match &settings.audit_key {
        Some(key) => Some(key.expose().to_owned()),
        None if is_signed && Kept::AuditKey.found(&settings.db_url)?.is_none() => {
            return Err("AUDIT_KEY is not set, and the audit log is signed already: bring back the key that was kept beside the \
                        database, or give another of the same name, and the public key of that one as AUDIT_EARLIER_KEYS"
                .into());
        }
        // Its name belongs to this log alone.
        None => Kept::AuditKey.or_made(&settings.db_url, || made(&format!("alm/{}", storage.store().log_id())))?,
    };
    let Some(key) = key else {
        tracing::warn!("AUDIT_KEY is not set, so the audit log is not signed; make a key with: server audit new-key");
        return Ok(None);
    };
    let signer = parsed(&key)?;
    tracing::info!(public_key = %signer.verifier(), "the audit log is signed");
    let mut tree = AuditTree::new(storage.tree(), signer);
    for earlier in &settings.audit_earlier_keys {
        tree = tree.trusting(earlier.clone());
    }
    if let Some(path) = &settings.audit_checkpoint_file {
        tree = tree.publishing(Arc::new(CheckpointFile::at(path.clone())?));
    }
    if let Some(subject) = &settings.audit_checkpoint_subject {
        let bus = bus.ok_or("AUDIT_CHECKPOINT_SUBJECT is a subject of NATS, so it needs NATS_URL")?;
        let outlet = bus.checkpoints(subject).map_err(|error| format!("AUDIT_CHECKPOINT_SUBJECT: {error}"))?;
        tree = tree.publishing(Arc::new(outlet));
    }
    Ok(Some(tree))
}

/// The keys that this server signs with, and has signed with.
pub(crate) fn verifiers(settings: &Settings) -> Result<Vec<Verifier>, Box<dyn Error>> {
    let key = match &settings.audit_key {
        Some(key) => Some(key.expose().to_owned()),
        None => Kept::AuditKey.found(&settings.db_url)?,
    };
    let signer = key.map(|key| parsed(&key)).transpose()?;
    let own = signer.map(|signer| signer.verifier().clone());
    Ok(own.into_iter().chain(settings.audit_earlier_keys.iter().cloned()).collect())
}

/// A new key for the log of this name.
pub(crate) fn made(name: &str) -> Result<String, Box<dyn Error>> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(Signer::new(name, &seed)?.private_key()?)
}

fn parsed(key: &str) -> Result<Signer, String> {
    // What was given may be a secret, so it is not repeated.
    key.parse().map_err(|error: KeyError| format!("AUDIT_KEY: {error}; make a key with: server audit new-key"))
}

/// A file to which each checkpoint is appended.
struct CheckpointFile(PathBuf);

impl CheckpointFile {
    /// Makes sure that it can be written.
    fn at(path: PathBuf) -> Result<Self, String> {
        let opened = OpenOptions::new().append(true).create(true).open(&path);
        opened.map_err(|error| format!("AUDIT_CHECKPOINT_FILE: {}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

#[async_trait]
impl CheckpointOutlet for CheckpointFile {
    async fn publish(&self, checkpoint: &KeptCheckpoint) -> Result<(), BackendError> {
        let (path, note) = (self.0.clone(), checkpoint.note.clone());
        let written = tokio::task::spawn_blocking(move || {
            // Opened each time, so that it may be rotated.
            let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
            let mut last = [b'\n'];
            if file.seek(SeekFrom::End(-1)).is_ok() {
                file.read_exact(&mut last)?;
            }
            // What was not written to its end must not take this along.
            if last != [b'\n'] {
                file.write_all(b"\n")?;
            }
            file.write_all(note.as_bytes())?;
            file.sync_data()
        });
        let failed = || BackendError::internal("file", "append a checkpoint");
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failed().with_source(error)),
            Err(error) => Err(failed().with_source(error)),
        }
    }
}
