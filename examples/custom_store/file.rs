//! The file that holds the state: read whole, replaced whole, changed by one at a time. Everything here blocks.

use std::{
    fs::{self, File, TryLockError, rename},
    io::{self, Write as _},
    path::{Path, PathBuf, absolute},
    sync::{Arc, Mutex, PoisonError},
};

use alm_core::{
    domain::LogId,
    ports::{BackendError, BackendErrorKind, Ids, Outcome, StoreError, SystemIds},
};

use super::state::State;

pub(crate) struct StateFile {
    path: PathBuf,
    /// The text that was last read, and what it says.
    known: Mutex<Option<(Vec<u8>, Arc<State>)>>,
}

impl StateFile {
    /// The file at `path`; if there is none, it is made.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let path = absolute(path).map_err(|error| fault("open", path, Outcome::NotApplied, &error))?;
        let file = Self { path, known: Mutex::default() };
        let lock = file.lock()?;
        if !file.path.exists() {
            file.save(&State::empty(LogId::new(SystemIds.uuid_v7())))?;
        }
        drop(lock);
        Ok(file)
    }

    /// The state as it is now.
    ///
    /// It needs no lock, since a file that can be seen is never changed but replaced.
    pub(crate) fn read(&self) -> Result<Arc<State>, StoreError> {
        let text = fs::read(&self.path).map_err(|error| self.fault("read", Outcome::NotApplied, &error))?;
        // To compare the texts is much cheaper than to parse one. Unlike a time or a length, it can't be wrong.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, state)) = &*known
            && *known == text
        {
            return Ok(state.clone());
        }
        let state: Arc<State> = Arc::new(serde_json::from_slice(&text).map_err(|error| {
            BackendError::corrupt(ADAPTER, "read").with_source(format!("{}: {error}", self.path.display()))
        })?);
        *known = Some((text, state.clone()));
        Ok(state)
    }

    /// Changes the state: all that `change` does to it when it succeeds, nothing when it fails.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let lock = self.lock()?;
        let mut state = State::clone(self.read()?.as_ref());
        let answer = change(&mut state)?;
        self.save(&state)?;
        drop(lock);
        Ok(answer)
    }

    /// Waits until no one else changes the file. The lock holds between threads and between processes, and ends when the
    /// file that is returned is closed, also by the end of the process.
    fn lock(&self) -> Result<File, StoreError> {
        // Another file than the one that holds the state: that one is replaced, and with it would go the lock.
        let path = self.beside(".lock");
        let lock = File::create(&path).and_then(|file| file.lock().map(|()| file));
        lock.map_err(|error| fault("lock", &path, Outcome::NotApplied, &error))
    }

    /// The file beside this one that stands for a role, with the lock on it, or `None` when someone has that. The file stays when it
    /// is closed: whoever took it away would let two have locks on two files of one name.
    pub(crate) fn take(&self, role: &str) -> Result<Option<File>, StoreError> {
        let path = self.beside(&format!(".{role}.role"));
        let failed = |error| fault("take a role", &path, Outcome::NotApplied, &error);
        let file = File::create(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Replaces the file. Only whoever has the lock may call it.
    fn save(&self, state: &State) -> Result<(), StoreError> {
        let text =
            serde_json::to_vec(state).map_err(|error| BackendError::internal(ADAPTER, "write").with_source(error))?;
        let next = self.beside(".next");
        let written = File::create(&next).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        written.map_err(|error| fault("write", &next, Outcome::NotApplied, &error))?;
        // This is the moment of the commit. From here on no one can tell whether what fails has had its effect.
        rename(&next, &self.path).map_err(|error| self.fault("replace", Outcome::Unknown, &error))?;
        self.sync_folder().map_err(|error| self.fault("replace", Outcome::Unknown, &error))?;
        Ok(())
    }

    /// Makes a rename survive that the machine goes down.
    fn sync_folder(&self) -> io::Result<()> {
        match self.path.parent() {
            // Elsewhere a folder can't be opened as a file.
            Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
            _ => Ok(()),
        }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }

    fn fault(&self, operation: &'static str, outcome: Outcome, error: &io::Error) -> StoreError {
        fault(operation, &self.path, outcome, error)
    }
}

const ADAPTER: &str = "json-file";

fn fault(operation: &'static str, path: &Path, outcome: Outcome, error: &io::Error) -> StoreError {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let kind = match error.kind() {
        PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull => BackendErrorKind::NotWritable,
        _ => BackendErrorKind::Unavailable,
    };
    let source = Some(format!("{}: {error}", path.display()).into());
    BackendError { kind, adapter: ADAPTER, operation, outcome, retry_after: None, source }.into()
}
