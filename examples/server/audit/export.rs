//! `server audit export`, and an export that is read again.

use std::{
    error::Error,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::Path,
};

use alm_core::{
    domain::AuditEntry,
    ports::{AuditFilter, Store},
    services::{AuditSource, Leaf, VerifyError},
    tlog::entry_bytes,
};
use async_trait::async_trait;
use serde::Deserialize;

use crate::{commands::ExportFormat, settings::Settings, storage::Storage};

const PAGE: usize = 1000;

/// Prints every entry. Only a page of them is in memory at a time.
pub(super) async fn run(settings: &Settings, format: ExportFormat) -> Result<(), Box<dyn Error>> {
    let storage = Storage::open_as_it_is(settings).await?;
    let failed = match written(storage.store().as_ref(), format).await {
        // Whoever reads has enough.
        Err(error) if is_broken_pipe(error.as_ref()) => None,
        written => written.err().map(|error| error.to_string()),
    };
    storage.close().await;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

async fn written(store: &dyn Store, format: ExportFormat) -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::new(io::stdout());
    match format {
        ExportFormat::Ndjson => {
            let write = |entry: &AuditEntry| {
                out.write_all(&entry_bytes(entry))?;
                out.write_all(b"\n")
            };
            each_entry(store, write).await?;
            out.flush()?;
        }
        ExportFormat::Csv => {
            let mut out = csv::Writer::from_writer(out);
            out.write_record(COLUMNS)?;
            each_entry(store, |entry| Ok(out.write_record(record(entry))?)).await?;
            out.flush()?;
        }
    }
    Ok(())
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

async fn each_entry(
    store: &dyn Store,
    mut write: impl FnMut(&AuditEntry) -> io::Result<()> + Send,
) -> Result<(), Box<dyn Error>> {
    let mut after = None;
    loop {
        let page = store.audit_entries(&AuditFilter::default(), after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.index);
        for entry in &page {
            write(entry)?;
        }
    }
}

const COLUMNS: [&str; 9] =
    ["index", "event_id", "event_type", "source_service", "timestamp", "recorded_at", "actor", "subject", "payload"];

fn record(entry: &AuditEntry) -> [String; 9] {
    [
        entry.index.to_string(),
        entry.event_id.to_string(),
        entry.event_type.clone(),
        entry.source_service.clone(),
        entry.timestamp.to_string(),
        entry.recorded_at.to_string(),
        entry.actor.to_string(),
        entry.subject.clone(),
        entry.payload.to_string(),
    ]
}

/// Entries as they were exported: a line is the leaf.
pub(super) struct Export(Box<dyn BufRead + Send>);

impl Export {
    pub(super) fn open(path: &Path) -> Result<Self, Box<dyn Error>> {
        if path.as_os_str() == "-" {
            return Ok(Self(Box::new(BufReader::new(io::stdin()))));
        }
        let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(Box::new(BufReader::new(file))))
    }
}

#[async_trait]
impl AuditSource for Export {
    async fn leaves(&mut self, after: u64, limit: usize) -> Result<Vec<Leaf>, VerifyError> {
        #[derive(Deserialize)]
        struct Indexed {
            index: u64,
        }
        let mut leaves = Vec::new();
        let mut line = Vec::new();
        while leaves.len() < limit {
            line.clear();
            let number = after + leaves.len() as u64 + 1;
            let wrong = |error: &dyn std::fmt::Display| VerifyError::Unreadable(format!("line {number}: {error}"));
            if self.0.read_until(b'\n', &mut line).map_err(|error| wrong(&error))? == 0 {
                break;
            }
            let bytes = line.trim_ascii_end();
            let Indexed { index } = serde_json::from_slice(bytes).map_err(|error| wrong(&error))?;
            leaves.push(Leaf { index, bytes: bytes.to_vec() });
        }
        Ok(leaves)
    }
}
