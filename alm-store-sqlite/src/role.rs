//! Roles: locks on files beside the database, which end with the process however it ends.

use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use alm_core::{
    changeset::ConsumerName,
    ports::{BackendError, Lease, Outcome, StoreError},
};
use async_trait::async_trait;
use tokio::task::spawn_blocking;

use crate::error::{ADAPTER, fault_with};

const OPERATION: &str = "take a role";

/// The file whose lock is the role, beside the database.
fn beside(database: &Path, role: &ConsumerName) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(format!(".{role}.lock"));
    name.into()
}

/// Takes a role of the database at this absolute path, unless someone has it.
///
/// The lock belongs to the file as it was opened, so it also keeps out who opens the file in the same process.
pub(crate) async fn take(database: PathBuf, role: &ConsumerName) -> Result<Option<Box<dyn Lease>>, StoreError> {
    let path = beside(&database, role);
    let taken = spawn_blocking(move || Held::take(path)).await;
    let taken = taken.map_err(|error| BackendError::internal(ADAPTER, OPERATION).with_source(error))?;
    match taken {
        Ok(held) => Ok(held.map(|held| Box::new(held) as Box<dyn Lease>)),
        Err(error) => Err(fault_with(OPERATION, Outcome::NotApplied, sqlx::Error::Io(error))),
    }
}

/// A file with a lock, which goes when the file is closed. The file itself stays: whoever took it away, while another had opened it
/// already and waited for the lock, would let two have locks on two files of one name.
struct Held {
    path: PathBuf,
    // None once the role was lost.
    file: Option<File>,
}

impl Held {
    fn take(path: PathBuf) -> io::Result<Option<Self>> {
        let file = File::options().write(true).create(true).truncate(false).open(&path)?;
        match file.try_lock() {
            // Someone may have taken the file away between the two.
            Ok(()) if is_at(&file, &path) => Ok(Some(Self { path, file: Some(file) })),
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[async_trait]
impl Lease for Held {
    /// No one can take a lock away, but someone may take away the file, and then others lock another one.
    async fn is_held(&mut self) -> bool {
        let Some(file) = self.file.take() else { return false };
        let path = self.path.clone();
        let found = spawn_blocking(move || is_at(&file, &path).then_some(file)).await;
        self.file = found.ok().flatten();
        self.file.is_some()
    }
}

/// Whether that is the file that is found under this path.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(found)) => (open.dev(), open.ino()) == (found.dev(), found.ino()),
        _ => false,
    }
}

/// Elsewhere a file that is open can't be taken away.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    fs::metadata(path).is_ok()
}
