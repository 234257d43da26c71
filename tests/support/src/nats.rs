//! A NATS server of the tests' own, with `JetStream`: nothing has to be installed but its binary, and nothing is left behind.

use std::{
    env,
    fmt::Write as _,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
};

use tempfile::TempDir;

use crate::{ports::free_port, postgres::run};

/// How the names of the servers' folders begin.
const FOLDERS: &str = "alm-nats-";

/// In each of them, a file that is locked by who uses it.
const ALIVE: &str = "alive";

/// A server, ended and deleted when this is dropped.
pub struct NatsServer {
    // Before the folder, which it uses.
    process: Option<Process>,
    folder: TempDir,
    address: String,
    port: u16,
    // Locked as long as this process lives.
    _alive: File,
}

impl NatsServer {
    /// The one that the tests of this process share: each has a stream and a prefix of its own. The last to drop it ends it.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<NatsServer>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// One that takes whoever comes.
    pub fn start() -> Self {
        Self::start_with(|_| String::new())
    }

    /// One whose configuration has these lines, too. What they name, `prepare` may put into the folder that it is given.
    pub fn start_with(prepare: impl FnOnce(&Path) -> String) -> Self {
        let mut server = Self::prepared(prepare);
        server.begin();
        server
    }

    /// As [`start_with`](Self::start_with), for lines in which its address stands, too.
    pub fn start_at(prepare: impl FnOnce(&Path, &str) -> String) -> Self {
        let mut server = Self::prepared_at(prepare);
        server.begin();
        server
    }

    /// As [`start_with`](Self::start_with), but it does not run yet.
    pub fn prepared(prepare: impl FnOnce(&Path) -> String) -> Self {
        Self::prepared_at(|folder, _| prepare(folder))
    }

    fn prepared_at(prepare: impl FnOnce(&Path, &str) -> String) -> Self {
        let (folder, alive) = folder();
        let (address, port) = free_port();
        let more = prepare(folder.path(), &address);
        let store = folder.path().join("store");
        let config = format!(
            "host: \"{address}\"\nport: {port}\njetstream {{ store_dir: \"{}\", max_mem: 64MB, max_file: 1GB }}\n{more}\n",
            store.display()
        );
        fs::write(folder.path().join("nats.conf"), config).unwrap();
        Self { process: None, folder, address, port, _alive: alive }
    }

    /// How it is reached.
    pub fn url(&self) -> String {
        format!("nats://{}", self.host())
    }

    /// Its address and its port.
    pub fn host(&self) -> String {
        format!("{}:{}", self.address, self.port)
    }

    /// Starts it on the store that it has, at the port that it had.
    pub fn begin(&mut self) {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "nats-server", "-c"]).arg(self.folder.path().join("nats.conf"));
        self.process = Some(Process::start(command));
    }

    /// Ends it in good order.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.end(End::Stop);
        }
    }

    /// Ends it without a word to anyone.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.end(End::Kill);
        }
    }

    /// Ends it in good order and starts it again. (One that is killed may lose what it has acknowledged a moment before.)
    pub fn restart(&mut self) {
        self.stop();
        self.begin();
    }

    /// Deletes what it has stored. It must not run.
    pub fn wipe(&self) {
        assert!(self.process.is_none(), "it runs");
        fs::remove_dir_all(self.folder.path().join("store")).unwrap();
    }
}

/// Three servers that are one, reached by the addresses of all.
pub struct NatsCluster {
    /// The servers. Any one may be killed.
    pub servers: Vec<NatsServer>,
}

impl NatsCluster {
    /// A cluster that is about to choose its leader.
    pub fn start() -> Self {
        let routes: Vec<_> = (0..3).map(|_| free_port()).collect();
        let list = routes.iter().fold(String::new(), |mut list, (address, port)| {
            write!(list, "\"nats://{address}:{port}\", ").unwrap();
            list
        });
        let config = |nth: usize| {
            let (address, port) = &routes[nth];
            format!(
                "server_name: \"node-{nth}\"\n\
                 cluster {{ name: \"alm\", host: \"{address}\", port: {port}, routes: [{list}] }}"
            )
        };
        Self { servers: (0..3).map(|nth| NatsServer::start_with(|_| config(nth))).collect() }
    }

    /// How it is reached.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.servers.iter().map(NatsServer::host).collect();
        format!("nats://{}", hosts.join(","))
    }
}

/// A folder of one's own, after those were deleted that tests have left which were killed. Their servers have ended with them.
fn folder() -> (TempDir, File) {
    for entry in fs::read_dir(env::temp_dir()).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with(FOLDERS)
            && File::open(entry.path().join(ALIVE)).is_ok_and(|alive| alive.try_lock().is_ok())
        {
            // Another workspace's tests may be at it, too.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let folder = tempfile::Builder::new().prefix(FOLDERS).tempdir().unwrap();
    // It is locked before it has its name, so that no one takes it for left behind.
    let nameless = folder.path().join("new");
    let alive = File::create(&nameless).unwrap();
    alive.lock().unwrap();
    fs::rename(nameless, folder.path().join(ALIVE)).unwrap();
    (folder, alive)
}

/// How a server ends.
enum End {
    Stop,
    Kill,
}

/// The server's process. A thread of its own starts it and waits, because the signal that ends the server together with the
/// tests comes when the *thread* ends that started it.
struct Process {
    end: Sender<End>,
    thread: Option<JoinHandle<()>>,
}

impl Process {
    fn start(mut command: Command) -> Self {
        let ((end, ended), (ready, started)) = (channel(), channel());
        let thread = thread::spawn(move || {
            let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            attend(child, &ready, &ended);
        });
        let log = started.recv().unwrap();
        assert!(log.is_ok(), "the server did not start: {}", log.unwrap_err());
        Self { end, thread: Some(thread) }
    }

    fn end(&mut self, how: End) {
        if let Some(thread) = self.thread.take() {
            self.end.send(how).unwrap();
            thread.join().unwrap();
        }
    }
}

fn attend(mut child: Child, ready: &Sender<Result<(), String>>, ended: &Receiver<End>) {
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut told = String::new();
    let started = loop {
        match log.next() {
            Some(Ok(line)) if line.contains("Server is ready") => break Ok(()),
            Some(Ok(line)) => told.extend([line.as_str(), "\n"]),
            _ => break Err(told),
        }
    };
    ready.send(started).unwrap();
    // It must be read, or the server would wait to write it.
    let rest = thread::spawn(move || log.count());
    match ended.recv() {
        Ok(End::Stop) => run(Command::new("kill").arg("-INT").arg(child.id().to_string())),
        Ok(End::Kill) | Err(_) => child.kill().unwrap(),
    }
    child.wait().unwrap();
    rest.join().unwrap();
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(End::Kill);
    }
}

/// The lines that make a server take only TLS, with a certificate for its address, and ask for one that `authority` has made.
pub fn tls_config(folder: &Path, authority: &crate::certificates::Authority, name: &str) -> String {
    let (certificate, key) = authority.certify("server", "a server", name);
    let put = |from: PathBuf, to: &str| {
        let to = folder.join(to);
        fs::copy(from, &to).unwrap();
        to.display().to_string()
    };
    let (certificate, key) = (put(certificate, "server.pem"), put(key, "server.key"));
    let ca = put(authority.ca(), "ca.pem");
    format!("tls {{ cert_file: \"{certificate}\", key_file: \"{key}\", ca_file: \"{ca}\", verify: true }}")
}
