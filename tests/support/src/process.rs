//! The example server as a process that ends with the test.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Instant,
};

use serde_json::Value;

use crate::LONG;

/// The settings of the contract: whatever the developer has set, none of them reaches the server.
const SETTINGS: &[&str] = &[
    "PORT",
    "BIND",
    "TLS_CERT",
    "TLS_KEY",
    "CORS_ORIGINS",
    "TRUSTED_PROXIES",
    "SERVICES",
    "DB_URL",
    "DB_URL_FILE",
    "DB_MAX_CONNECTIONS",
    "MIGRATE",
    "NATS_URL",
    "NATS_URL_FILE",
    "AUDIT_KEY",
    "AUDIT_KEY_FILE",
    "AUDIT_EARLIER_KEYS",
    "AUDIT_CHECKPOINT_FILE",
    "AUDIT_CHECKPOINT_SUBJECT",
    "JWT_SECRET",
    "JWT_SECRET_FILE",
    "JWT_SECRET_PREVIOUS",
    "JWT_SECRET_PREVIOUS_FILE",
    "JWT_PUBLIC_KEY",
    "JWT_PUBLIC_KEY_FILE",
    "JWT_JWKS_URL",
    "JWT_JWKS_CA",
    "JWT_JWKS_CA_FILE",
    "JWT_ISSUER",
    "JWT_AUDIENCE",
    "JWT_TTL_SECS",
    "SESSION_TTL_SECS",
    "ADMIN_PASSWORD",
    "ADMIN_PASSWORD_FILE",
    "AUTO_DEPLOY",
    "LOG_RETENTION_DAYS",
    "METRICS_PORT",
    "METRICS_BIND",
    "APP_URL",
    "VERSION_URL",
    "DEPLOYMENT_URL",
    "AUDIT_URL",
    "LOG",
    "RUST_LOG",
    "ALM_FAILPOINT",
];

/// A running example server. It is killed when it is dropped.
pub struct Process {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    /// What it has logged so far, as far as a test has waited for it.
    pub log: Vec<Value>,
}

/// What a process left.
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Each line that it has written to its standard output.
    pub stdout: Vec<String>,
    /// Each line on the standard error that no one has read before.
    pub stderr: Vec<String>,
}

impl Process {
    /// The server with these arguments, and of all settings only these.
    pub fn spawn(arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        Self::of(Self::command(arguments, settings))
    }

    /// What [`spawn`](Self::spawn) starts.
    pub fn command(arguments: &[&str], settings: &[(&str, &str)]) -> Command {
        // Cargo puts the examples beside the folder of the test binaries.
        let test = env::current_exe().unwrap();
        let server = test.ancestors().nth(2).expect("a folder of the profile").join("examples/server");
        assert!(server.is_file(), "{} is missing: cargo build --example server", server.display());
        let mut command = Command::new(server);
        command.args(arguments);
        for name in SETTINGS {
            command.env_remove(name);
        }
        // Unless a test says otherwise nothing is left behind.
        command.env("DB_URL", "memory:");
        command.envs(settings.iter().copied());
        command
    }

    /// Another program that says what the server says.
    pub fn of(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Self { child, stdout, stderr, log: Vec::new() }
    }

    /// A server on a port of its own, once it listens.
    pub fn serve(settings: &[(&str, &str)]) -> Self {
        let mut server = Self::spawn(&[], &[&[("PORT", "0")], settings].concat());
        server.logged("listening");
        server
    }

    /// Waits until the server has logged `message`; the whole line.
    pub fn logged(&mut self, message: &str) -> Value {
        self.logs(message).unwrap_or_else(|| {
            panic!("{message:?} is not logged: {:?} {:?}", self.log, self.stderr.try_iter().collect::<Vec<_>>())
        })
    }

    /// Waits until the server has logged `message`, or has ended without.
    pub fn logs(&mut self, message: &str) -> Option<Value> {
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(line) = self.log.iter().find(|line| line["message"] == message) {
                return Some(line.clone());
            }
            let patience = deadline.saturating_duration_since(Instant::now());
            let line = self.stdout.recv_timeout(patience).ok()?;
            // A test that is a server says something else, too.
            if line.starts_with('{') {
                self.log.push(serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line} is not JSON")));
            }
        }
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// The address that it logged with `message`.
    pub fn address_of(&mut self, message: &str) -> String {
        self.logged(message)["address"].as_str().expect("an address").to_owned()
    }

    /// What it has written so far and no one has read.
    pub fn rest_of_log(&mut self) -> Vec<String> {
        self.stdout.try_iter().chain(self.stderr.try_iter()).collect()
    }

    /// The first line on the standard error.
    pub fn said(&self) -> String {
        self.stderr.recv_timeout(LONG).expect("it says something")
    }

    /// Sends it a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        // The shell has `kill` built in, which not every machine has as a program.
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// A signal that is ready to be sent: to start a program takes longer than many a request.
    pub fn armed(&self, name: &str) -> Armed {
        let kill = format!("read -r _; kill -{name} {}", self.child.id());
        Armed(Command::new("sh").args(["-c", &kill]).stdin(Stdio::piped()).spawn().unwrap())
    }

    /// Waits until the process ends by itself.
    pub fn ended(mut self) -> Ended {
        let deadline = Instant::now() + LONG;
        // The pipes close when it ends.
        let rest = |lines: &Receiver<String>| {
            let mut all = Vec::new();
            loop {
                match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                    Ok(line) => all.push(line),
                    Err(mpsc::RecvTimeoutError::Disconnected) => return all,
                    Err(mpsc::RecvTimeoutError::Timeout) => panic!("it does not end: {all:?}"),
                }
            }
        };
        let mut stdout: Vec<_> = self.log.iter().map(Value::to_string).collect();
        stdout.extend(rest(&self.stdout));
        let stderr = rest(&self.stderr);
        Ended { status: self.child.wait().unwrap(), stdout, stderr }
    }
}

/// A signal to a [`Process`]. One that is dropped is sent as well.
pub struct Armed(Child);

impl Armed {
    /// Sends it.
    pub fn send(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

/// Runs the example until it ends by itself.
pub fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Ended {
    Process::spawn(arguments, settings).ended()
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // The test may have seen enough.
            let _ = sender.send(line);
        }
    });
    receiver
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
