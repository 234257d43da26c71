//! A disk that can be filled: a file system in memory that one process and its children have, and that goes with them.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What fills the disk.
const BALLAST: &str = "ballast";

/// Mounts the file system over a folder of the same owner, and becomes the program.
const MOUNT: &str = r#"
size=$1 folder=$2 user=$3
shift 3
mount -t tmpfs -o "size=${size}k,mode=755,uid=$(stat -c %u "$folder"),gid=$(stat -c %g "$folder")" tmpfs "$folder"
[ "$user" = 0 ] || set -- unshare --user --map-user="$user" -- "$@"
exec "$@"
"#;

/// The same program with the same arguments and settings, and instead of `folder` with a disk of so many KiB. It has the process
/// that the command starts.
pub fn with_small_disk(command: &Command, folder: &Path, kib: u32) -> Command {
    let mut wrapped = Command::new("unshare");
    let user = user();
    // Who is not root is it within a namespace of its own, for as long as it takes to mount.
    if user != "0" {
        wrapped.args(["--user", "--map-root-user"]);
    }
    wrapped.args(["--mount", "--", "sh", "-euc", MOUNT, "sh"]);
    wrapped.arg(kib.to_string()).arg(folder).arg(user).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped
}

/// Whether this machine lets us have one. Some let no one but root, and some containers not even root; then the test that needs one says
/// so and proves nothing.
pub fn is_possible() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let tried = with_small_disk(&Command::new("true"), folder.path(), 64).stdin(Stdio::null()).output();
    let is_possible = tried.as_ref().is_ok_and(|tried| tried.status.success());
    if !is_possible {
        eprintln!("NOT TESTED: no file system can be mounted here: {tried:?}");
    }
    is_possible
}

fn user() -> String {
    let user = Command::new("id").arg("-u").output().unwrap();
    String::from_utf8(user.stdout).unwrap().trim().to_owned()
}

/// What leaves no space on the disk until it is dropped.
pub struct Ballast(PathBuf);

impl Ballast {
    /// Fills the disk that `process` has at `folder`.
    pub fn of_process(process: u32, folder: &Path) -> Self {
        let root = PathBuf::from(format!("/proc/{process}/root"));
        Self::in_folder(&root.join(folder.strip_prefix("/").expect("an absolute path")))
    }

    /// Fills the disk at `folder`.
    pub fn in_folder(folder: &Path) -> Self {
        let path = folder.join(BALLAST);
        let mut file = File::create(&path).unwrap();
        loop {
            match file.write_all(&[0; 4096]) {
                Ok(()) => {}
                Err(full) if full.kind() == ErrorKind::StorageFull => return Self(path),
                Err(other) => panic!("{}: {other}", path.display()),
            }
        }
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        // The disk may have gone with its process.
        let _ = fs::remove_file(&self.0);
    }
}
