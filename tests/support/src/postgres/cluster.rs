//! The cluster that every server begins with: made once, and copied.

use std::{
    env,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{DATABASE, as_nobody, binary, give_away, run};

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
pub(super) fn lock() -> File {
    let lock = File::create(cache().join("postgres-cluster.lock")).unwrap();
    lock.lock().unwrap();
    lock
}

/// The folder of a cluster that no server has used, made by the first test that ever needs it.
pub(super) fn template() -> PathBuf {
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
