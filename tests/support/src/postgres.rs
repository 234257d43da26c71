//! A `PostgreSQL` of the tests' own: nothing has to be installed but its binaries, and nothing is left behind.

mod cluster;

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader},
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

use crate::small_disk::with_small_disk;

/// Any: each server has a folder for its socket, and an address of its own if it listens on one.
pub const PORT: u16 = 5432;

const DATABASE: &str = "template1";

/// How the names of the servers' folders begin.
const FOLDERS: &str = "alm-postgres-";

/// In each of them, a file that is locked by who uses it.
const ALIVE: &str = "alive";

/// In it, where a small disk is mounted.
const DISK: &str = "disk";

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
    /// How many KiB its small disk has, if there is one.
    disk: Option<u32>,
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
        Self::start_on(None, durability, prepare)
    }

    /// One that has a disk of so many KiB at [`disk`](Self::disk), beside the one that its data are on.
    pub fn start_with_small_disk(kib: u32) -> Self {
        Self::start_on(Some(kib), Durability::None, |folder| {
            fs::create_dir(folder.join(DISK)).unwrap();
            Vec::new()
        })
    }

    fn start_on(disk: Option<u32>, durability: Durability, prepare: impl FnOnce(&Path) -> Vec<String>) -> Self {
        // In the system's folder, because the path of a socket may have no more than a hundred bytes.
        let lock = cluster::lock();
        sweep();
        let folder = tempfile::Builder::new().prefix(FOLDERS).tempdir().unwrap();
        let alive = File::create(folder.path().join(ALIVE)).unwrap();
        alive.lock().unwrap();
        let template = cluster::template();
        drop(lock);
        let settings = prepare(folder.path());
        give_away(folder.path());
        run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(template).arg(folder.path().join("data")));
        let mut server = Self { process: None, folder, durability, settings, disk, _alive: alive };
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

    /// Where its small disk is.
    pub fn disk(&self) -> PathBuf {
        self.folder.path().join(DISK)
    }

    /// The id of its first process.
    pub fn id(&self) -> u32 {
        let file = fs::read_to_string(self.folder.path().join("data/postmaster.pid")).unwrap();
        file.lines().next().and_then(|line| line.parse().ok()).expect("the id of a process")
    }

    /// Ends it as whoever wants to start it again does: sessions are cut, and it comes to a good end.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.end(End::Stop);
        }
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
        let command = match self.disk {
            Some(kib) => with_small_disk(&command, &folder.join(DISK), kib),
            None => command,
        };
        self.process = Some(Process::start(command));
    }
}

/// How a server ends.
enum End {
    /// In good order.
    Stop,
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
        Ok(End::Stop) => run(Command::new("kill").arg("-INT").arg(child.id().to_string())),
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
