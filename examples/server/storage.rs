//! Where everything is kept, and the secret that is kept beside it.

use std::{
    error::Error,
    fmt,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use alm_core::ports::{BackendErrorKind, Rotated, Rotation, Store, StoreError, TreeStore};
use alm_store_memory::MemoryStore;
use alm_store_postgres::{PostgresOptions, PostgresStore};
use alm_store_sqlite::{SqliteOptions, SqliteStore};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::settings::{Migrate, Secret, Settings};

/// Where everything is kept.
#[derive(Clone)]
pub(crate) enum DbUrl {
    Memory,
    Sqlite(PathBuf),
    /// As it was given, password and all.
    Postgres(Secret),
}

impl Default for DbUrl {
    fn default() -> Self {
        Self::Sqlite("alm.db".into())
    }
}

impl FromStr for DbUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        match url.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("sqlite", path)) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                if path.is_empty() {
                    Err("sqlite: needs a path: sqlite:alm.db".to_owned())
                } else {
                    Ok(Self::Sqlite(path.into()))
                }
            }
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(Secret::new(url))),
            // What comes after the scheme may hold a password.
            Some((scheme, _)) => Err(format!("{scheme}: is no store: use sqlite:PATH, postgres://… or memory:")),
            None => Err("it has no scheme: use sqlite:PATH, postgres://… or memory:".to_owned()),
        }
    }
}

/// Where the store is, without who works on it and the password.
impl fmt::Display for DbUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => match PostgresOptions::parse(url.expose()) {
                Ok(options) => options.fmt(f),
                Err(_) => f.write_str("postgres:"),
            },
        }
    }
}

/// An open store, and what it takes to close it.
#[derive(Clone)]
pub(crate) enum Storage {
    Memory(Arc<MemoryStore>),
    Sqlite(SqliteStore),
    Postgres(Arc<PostgresStore>),
}

impl Storage {
    /// Opens the store. The schema is brought up to date when `migrate` says so.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, Box<dyn Error>> {
        Self::opened(settings, settings.migrate == Migrate::Auto).await
    }

    /// Opens a store that must be there, and changes nothing.
    pub(crate) async fn open_as_it_is(settings: &Settings) -> Result<Self, Box<dyn Error>> {
        if let DbUrl::Sqlite(path) = &settings.db_url
            && !path.exists()
        {
            return Err(format!("DB_URL: there is no {}", path.display()).into());
        }
        Self::opened(settings, false).await
    }

    async fn opened(settings: &Settings, migrates: bool) -> Result<Self, Box<dyn Error>> {
        match &settings.db_url {
            DbUrl::Memory => Ok(Self::Memory(Arc::default())),
            DbUrl::Sqlite(path) => {
                let options = SqliteOptions::new(path).migrate(migrates);
                Ok(Self::Sqlite(options.open().await.map_err(|error| unopened(&error, migrates))?))
            }
            DbUrl::Postgres(url) => {
                let options = postgres(url)?.max_connections(settings.db_max_connections);
                if migrates {
                    PostgresStore::migrate(&options).await.map_err(|error| explained(&error))?;
                }
                let store = PostgresStore::connect(&options).await.map_err(|error| unopened(&error, migrates))?;
                Ok(Self::Postgres(Arc::new(store)))
            }
        }
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => store.clone(),
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => store.clone(),
        }
    }

    pub(crate) fn tree(&self) -> Arc<dyn TreeStore> {
        match self {
            Self::Memory(store) => store.clone(),
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => store.clone(),
        }
    }

    /// Reports what the store alone knows of itself.
    pub(crate) async fn report_metrics(&self) -> Result<(), StoreError> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Sqlite(store) => {
                store.report_metrics();
                Ok(())
            }
            Self::Postgres(store) => store.report_metrics().await,
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Memory(_) => {}
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}

fn postgres(url: &Secret) -> Result<PostgresOptions, Box<dyn Error>> {
    Ok(PostgresOptions::parse(url.expose()).map_err(|error| explained(&error))?)
}

/// Brings the schema of the store up to date; says what was done.
pub(crate) async fn migrate(url: &DbUrl) -> Result<String, Box<dyn Error>> {
    match url {
        DbUrl::Memory => Ok("memory: has no schema, so there is nothing to migrate".to_owned()),
        DbUrl::Sqlite(path) => {
            SqliteStore::migrate(path).await.map_err(|error| explained(&error))?;
            Ok(format!("the schema of {} is up to date", path.display()))
        }
        DbUrl::Postgres(url) => {
            let options = postgres(url)?;
            PostgresStore::migrate(&options).await.map_err(|error| explained(&error))?;
            Ok("the schema of the database is up to date".to_owned())
        }
    }
}

/// Gives the log of the store another identity.
pub(crate) async fn rotate_log(url: &DbUrl, rotation: &Rotation) -> Result<Rotated, Box<dyn Error>> {
    let rotated = match url {
        DbUrl::Memory => return Err("DB_URL: memory: outlives no process, so it can't have been restored".into()),
        DbUrl::Sqlite(path) if !path.exists() => return Err(format!("DB_URL: there is no {}", path.display()).into()),
        DbUrl::Sqlite(path) => SqliteStore::rotate_log(path, rotation).await,
        DbUrl::Postgres(url) => {
            let options = postgres(url)?;
            PostgresStore::rotate_log(&options, rotation).await
        }
    };
    Ok(rotated.map_err(|error| {
        let mut text = explained(&error);
        if matches!(&error, StoreError::Backend(fault) if fault.kind == BackendErrorKind::Corrupt) {
            // A backup may be older than this program.
            text.push_str("; that is: server migrate");
        }
        text
    })?)
}

/// Why the store can't be opened, and how this server could have made it so that it can.
fn unopened(error: &StoreError, migrates: bool) -> String {
    let mut text = explained(error);
    let corrupt = matches!(error, StoreError::Backend(fault) if fault.kind == BackendErrorKind::Corrupt);
    if corrupt && !migrates {
        text.push_str("; with MIGRATE=never, that is: server migrate");
    }
    text
}

/// The error with its sources, on one line.
fn explained(error: &dyn Error) -> String {
    let mut text = format!("DB_URL: {error}");
    let mut source = error.source();
    while let Some(error) = source {
        let said = error.to_string();
        // Some errors repeat what theirs says.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = error.source();
    }
    text
}

/// What is kept beside the database.
#[derive(Clone, Copy)]
pub(crate) enum Kept {
    /// What tokens are signed with.
    JwtSecret,
    /// What the audit log is signed with.
    AuditKey,
}

impl Kept {
    fn beside(self, database: &Path) -> PathBuf {
        let mut path = database.to_owned().into_os_string();
        path.push(match self {
            Self::JwtSecret => ".jwt-secret",
            Self::AuditKey => ".audit-key",
        });
        path.into()
    }

    /// What is kept, if anything is.
    pub(crate) fn found(self, url: &DbUrl) -> Result<Option<String>, Box<dyn Error>> {
        match url {
            DbUrl::Memory | DbUrl::Postgres(_) => Ok(None),
            DbUrl::Sqlite(database) => found(&self.beside(database)),
        }
    }

    /// What is kept, or else what is made now and kept from now on. With everything in memory nothing outlives the process, so neither
    /// does this; several servers may share a `PostgreSQL`, on machines that share nothing else, so there is none.
    pub(crate) fn or_made(
        self,
        url: &DbUrl,
        make: impl FnOnce() -> Result<String, Box<dyn Error>>,
    ) -> Result<Option<String>, Box<dyn Error>> {
        match url {
            DbUrl::Memory => make().map(Some),
            DbUrl::Postgres(_) => Ok(None),
            DbUrl::Sqlite(database) => {
                let path = self.beside(database);
                if let Some(secret) = found(&path)? {
                    return Ok(Some(secret));
                }
                let secret = make()?;
                let kept = keep(&path, &secret).map_err(|error| about(&path, &error))?;
                // Another process may have been faster.
                if kept { Ok(Some(secret)) } else { Ok(Some(found(&path)?.unwrap_or(secret))) }
            }
        }
    }
}

/// The secret that tokens are signed with when none is set: one that is made once and kept beside the database, for the tokens of
/// yesterday count as long as the accounts do.
pub(crate) fn own_secret(url: &DbUrl) -> Result<String, Box<dyn Error>> {
    Kept::JwtSecret.or_made(url, || random(48))?.ok_or_else(|| {
        "JWT_SECRET is not set, and with PostgreSQL it must be; make one with: openssl rand -base64 48".into()
    })
}

fn about(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

fn found(path: &Path) -> Result<Option<String>, Box<dyn Error>> {
    match fs::read_to_string(path) {
        Ok(secret) => Ok(Some(secret.trim_end().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(about(path, &error).into()),
    }
}

/// Writes the secret for its owner alone; says whether it is now there, and not that of another process.
fn keep(path: &Path, secret: &str) -> io::Result<bool> {
    let mut draft = path.to_owned().into_os_string();
    draft.push(format!(".{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()?;
    // It gets its name when it is whole, and takes it from no one.
    let named = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match named {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Random bytes, as text.
pub(crate) fn random(bytes: usize) -> Result<String, Box<dyn Error>> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random)?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}
