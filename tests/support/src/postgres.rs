//! A `PostgreSQL` of the tests' own: nothing has to be installed but its binaries, and nothing is left behind.

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
};

use tempfile::TempDir;

/// Any: each server has a folder for its socket, and an address of its own if it listens on one.
pub const PORT: u16 = 5432;

const DATABASE: &str = "template1";

/// How the names of the servers' folders begin.
const FOLDERS: &str = "alm-postgres-";

/// In each of them, a file that is locked by who uses it.
const ALIVE: &str = "alive";

/// An address of this machine where no other test listens.
pub fn address() -> String {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // All of 127.0.0.0/8 is loopback. A process has an id of at most 22 bits, by which it is told from others.
    let (process, nth) = (std::process::id(), TAKEN.fetch_add(1, Ordering::Relaxed));
    assert!(nth < 4, "there are addresses for four servers in each process");
    format!("127.{}.{}.{}", nth << 6 | process >> 16, process >> 8 & 255, process & 255)
}

/// Whether what is committed must survive a crash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It must.
    Crash,
    /// It need not, which is quicker.
    None,
}

/// A server on a socket in a folder, ended and deleted when this is dropped.
pub struct Server {
    process: Option<Process>,
    folder: TempDir,
    durability: Durability,
    settings: Vec<String>,
    // Locked as long as this process lives.
    _alive: File,
}

impl Server {
    /// The one that the tests of this process share. The last to drop it ends it.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start(Durability::None));
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// One that is not shared.
    pub fn start(durability: Durability) -> Self {
        Self::start_with(durability, |_| Vec::new())
    }

    /// One with further settings, `name=value`. What they name, `prepare` may put into the folder that it is given.
    pub fn start_with(durability: Durability, prepare: impl FnOnce(&Path) -> Vec<String>) -> Self {
        // In the system's folder, because the path of a socket may have no more than a hundred bytes.
        let lock = lock();
        sweep();
        let folder = tempfile::Builder::new().prefix(FOLDERS).tempdir().unwrap();
        let alive = File::create(folder.path().join(ALIVE)).unwrap();
        alive.lock().unwrap();
        let template = template();
        drop(lock);
        let settings = prepare(folder.path());
        give_away(folder.path());
        run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(template).arg(folder.path().join("data")));
        let mut server = Self { process: None, folder, durability, settings, _alive: alive };
        server.begin();
        server
    }

    /// How it is reached.
    pub fn url(&self) -> String {
        format!("postgres://alm@localhost:{PORT}/{DATABASE}?host={}", self.folder.path().display())
    }

    /// Where its socket is.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join(format!(".s.PGSQL.{PORT}"))
    }

    /// Ends it, all of its processes, as a power cut would: without a word to anyone. It is started again with
    /// [`begin`](Self::begin).
    pub fn crash(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.end(End::Kill);
        }
    }

    /// Starts it on the data that it left.
    pub fn begin(&mut self) {
        let folder = self.folder.path().to_owned();
        let fsync = if self.durability == Durability::Crash { "fsync=on" } else { "fsync=off" };
        let arguments = [
            "listen_addresses=",
            "shared_buffers=16MB",
            "max_connections=120",
            "max_wal_size=64MB",
            "min_wal_size=32MB",
            "autovacuum=off",
            "restart_after_crash=off",
            fsync,
        ];
        let mut command = Command::new("setpriv");
        command.args(as_nobody()).args(["--pdeathsig", "QUIT"]).arg(binary("postgres"));
        command.arg("-D").arg(folder.join("data")).arg("-k").arg(&folder).args(["-p", &PORT.to_string()]);
        let settings = arguments.into_iter().chain(self.settings.iter().map(String::as_str));
        command.args(settings.flat_map(|setting| ["-c", setting])).current_dir("/");
        self.process = Some(Process::start(command));
    }
}

/// How a server ends.
enum End {
    /// At once, but it takes its shared memory away.
    Quit,
    /// As in a power cut.
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
            Some(Ok(line)) if line.contains("database system is ready to accept connections") => break Ok(()),
            Some(Ok(line)) => told.extend([line.as_str(), "\n"]),
            _ => break Err(told),
        }
    };
    ready.send(started).unwrap();
    // It must be read, or the server would wait to write it; its end is that of the last of the server's processes.
    let rest = thread::spawn(move || log.count());
    match ended.recv() {
        Ok(End::Quit) => run(Command::new("kill").arg("-QUIT").arg(child.id().to_string())),
        Ok(End::Kill) | Err(_) => kill(&mut child),
    }
    child.wait().unwrap();
    rest.join().unwrap();
}

/// Kills the server with all its processes: they would notice the end of the first, and might do something before they end, too.
fn kill(child: &mut Child) {
    assert_eq!(child.try_wait().unwrap(), None, "the server has ended by itself");
    let id = child.id();
    // From here on it starts no other.
    run(Command::new("kill").arg("-STOP").arg(id.to_string()));
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    child.kill().unwrap();
    for process in children.split_whitespace() {
        // It may have ended already.
        let _ = Command::new("kill").args(["-KILL", process]).stderr(Stdio::null()).status();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(End::Quit);
    }
}

/// The folder in the target folder that is meant for what tests keep.
fn cache() -> PathBuf {
    let test = env::current_exe().unwrap();
    // A test is in the folder `deps` of its profile.
    let target = test.ancestors().nth(3).expect("a target folder");
    let cache = target.join("tmp");
    fs::create_dir_all(&cache).unwrap();
    cache
}

/// Of several tests one at a time is here.
fn lock() -> File {
    let lock = File::create(cache().join("postgres-cluster.lock")).unwrap();
    lock.lock().unwrap();
    lock
}

/// Deletes what tests have left that were killed. Their servers have ended with them.
fn sweep() {
    for entry in fs::read_dir(env::temp_dir()).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with(FOLDERS)
            && File::open(entry.path().join(ALIVE)).is_ok_and(|alive| alive.try_lock().is_ok())
        {
            // Another workspace's tests may be at it, too.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The folder of a cluster that no server has used, made by the first test that ever needs it.
fn template() -> PathBuf {
    let cache = cache();
    let template = cache.join("postgres-cluster");
    if !template.exists() {
        // Where the user who makes it can get at it.
        let folder = tempfile::tempdir().unwrap();
        give_away(folder.path());
        let (made, begun) = (folder.path().join("data"), cache.join("postgres-cluster.begun"));
        let options = ["-U", "alm", "-A", "trust", "-N", "-E", "UTF8", "--locale=C.UTF-8", "--wal-segsize=1"];
        run(Command::new("setpriv").args(as_nobody()).arg(binary("initdb")).arg("-D").arg(&made).args(options));
        leave_one_database(&made);
        let _ = fs::remove_dir_all(&begun);
        run(Command::new("cp").arg("-a").arg(made).arg(&begun));
        fs::rename(begun, &template).unwrap();
    }
    template
}

/// Of the three databases of a new cluster one is enough, and copied in a third of the time.
fn leave_one_database(cluster: &Path) {
    let mut command = Command::new("setpriv");
    command.args(as_nobody()).arg(binary("postgres")).arg("--single").arg("-D").arg(cluster).arg(DATABASE);
    command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut server = command.spawn().unwrap();
    let statements = "ALTER DATABASE template0 IS_TEMPLATE false\nDROP DATABASE template0\nDROP DATABASE postgres\n";
    server.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
    let done = server.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && !log.contains("ERROR"), "{log}");
}

fn is_root() -> bool {
    let user = Command::new("id").arg("-u").output().unwrap();
    user.stdout == b"0\n"
}

/// The server refuses to run as root.
fn as_nobody() -> &'static [&'static str] {
    if is_root() { &["--reuid=nobody", "--regid=nogroup", "--clear-groups"] } else { &[] }
}

fn give_away(folder: &Path) {
    if is_root() {
        run(Command::new("chown").args(["-R", "nobody:nogroup"]).arg(folder));
    }
}

pub(crate) fn run(command: &mut Command) {
    let done = command.current_dir("/").output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A program of `PostgreSQL`. Debian keeps those of several versions side by side, and none of them in the PATH.
pub fn binary(name: &str) -> PathBuf {
    let mut versions: Vec<u32> = fs::read_dir("/usr/lib/postgresql")
        .map(|found| found.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
        .unwrap_or_default();
    versions.sort_unstable();
    match versions.last() {
        Some(newest) => PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin/{name}")),
        None => PathBuf::from(name),
    }
}
