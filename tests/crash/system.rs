//! What is killed: a server, and the database that it keeps everything in.

use std::os::unix::process::ExitStatusExt;

use alm_test_support::{
    postgres::{Durability, Server as Postgres},
    process::{Ended, Process, run},
    soak::NoFault,
};
use tempfile::TempDir;
use tokio::sync::watch;

const SECRET: &str = "nothing but tests is signed with this secret";

const KILLED: i32 = 9;
const ABORTED: i32 = 6;

/// Where the server keeps everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// A server with these settings.
type Start = Box<dyn Fn(&[(&str, &str)]) -> Process + Send>;

pub(crate) struct System {
    folder: TempDir,
    postgres: Option<Postgres>,
    server: Option<Process>,
    /// Where the server listens; the last place if it does not.
    pub(crate) address: watch::Sender<String>,
    /// How the server is started.
    start: Start,
}

impl System {
    /// A database without a server.
    pub(crate) fn new(kind: Kind) -> Self {
        Self::with(kind, |settings| Process::spawn(&[], settings))
    }

    /// The same with another server than the example.
    pub(crate) fn with(kind: Kind, start: impl Fn(&[(&str, &str)]) -> Process + Send + 'static) -> Self {
        let postgres = (kind == Kind::Postgres).then(|| Postgres::start(Durability::Crash));
        let folder = tempfile::tempdir().unwrap();
        Self { folder, postgres, server: None, address: watch::Sender::default(), start: Box::new(start) }
    }

    /// A folder that goes with this.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    fn url(&self) -> String {
        match &self.postgres {
            Some(postgres) => postgres.url(),
            None => format!("sqlite:{}", self.folder.path().join("alm.db").display()),
        }
    }

    /// What a client shows to the server.
    pub(crate) fn token() -> String {
        let settings = [("JWT_SECRET", SECRET), ("JWT_TTL_SECS", "86400")];
        let [token] = run(&["token", "--sub", "ada", "--role", "admin"], &settings).stdout.try_into().unwrap();
        token
    }

    /// Starts the server, with a point at which it ends itself if one is given. False if it has ended before it listened.
    pub(crate) fn start(&mut self, point: Option<&str>) -> bool {
        let url = self.url();
        let mut settings = vec![
            ("DB_URL", url.as_str()),
            ("PORT", "0"),
            ("JWT_SECRET", SECRET),
            ("ADMIN_PASSWORD", "correct-horse-battery"),
            // Of all that it may say, where it listens.
            ("LOG", "error,server=info"),
        ];
        settings.extend(point.map(|point| ("ALM_FAILPOINT", point)));
        let mut server = (self.start)(&settings);
        let listens = server.logs("listening").map(|_| format!("http://{}", server.address_of("listening")));
        self.server = Some(server);
        let Some(address) = listens else { return false };
        self.address.send_replace(address);
        true
    }

    /// Kills the server.
    pub(crate) fn kill_server(&mut self) -> Result<(), NoFault> {
        let server = self.server.take().ok_or("there is no server to kill")?;
        server.signal("KILL");
        let ended = server.ended();
        if ended.status.signal() == Some(KILLED) { Ok(()) } else { Err(unlike("to be killed", &ended)) }
    }

    /// Kills all processes of the database.
    pub(crate) fn kill_database(&mut self) -> Result<(), NoFault> {
        self.postgres.as_mut().ok_or("there is no database to kill")?.crash();
        Ok(())
    }

    pub(crate) fn start_database(&mut self) {
        if let Some(postgres) = &mut self.postgres {
            postgres.begin();
        }
    }

    /// Whether the server has ended by itself.
    pub(crate) fn server_has_ended(&mut self) -> bool {
        self.server.as_mut().is_some_and(Process::has_ended)
    }

    /// What the server that has ended by itself has ended by: it must be the point.
    pub(crate) fn ended_at(&mut self, point: &str) -> Result<(), NoFault> {
        let ended = self.server.take().ok_or("there is no server")?.ended();
        let said = format!("ended at {point}");
        let at_point = ended.stderr.iter().any(|line| line.ends_with(&said));
        if at_point && ended.status.signal() == Some(ABORTED) { Ok(()) } else { Err(unlike(&said, &ended)) }
    }
}

fn unlike(expected: &str, ended: &Ended) -> NoFault {
    format!("the server was {expected}, but: {:?} {:?}", ended.status, ended.stderr)
}
