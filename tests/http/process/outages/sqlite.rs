//! The disk of a database in a file.

use alm_test_support::{
    process::Process,
    small_disk::{self, Ballast, with_small_disk},
};

use super::{AtWork, Shows, at_work::settings};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_waited_out() {
    if !small_disk::is_possible() {
        return;
    }
    // given
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("alm.db").display());
    let server = with_small_disk(&Process::command(&[], &settings(&url)), folder.path(), 64 * 1024);
    let mut work = AtWork::on(Process::of(server)).await;

    // when
    let full = Ballast::of_process(work.server.id(), folder.path());
    work.is_out(Shows::ReadOnly).await;
    drop(full);

    // then
    work.comes_back().await;
}

/// How large the files may become that the process writes.
#[cfg(target_os = "linux")]
fn limit_files_of(process: u32, bytes: &str) {
    let (process, limit) = (process.to_string(), format!("--fsize={bytes}:"));
    let limited = std::process::Command::new("prlimit").args(["--pid", &process, &limit]).output().unwrap();
    assert!(limited.status.success(), "{}", String::from_utf8_lossy(&limited.stderr));
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn files_that_can_not_be_written_any_more_are_waited_out() {
    // given
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("alm.db").display());
    // On a file system that turns read-only under it each write of a process fails, and so it does by a limit, if the process is not to be
    // killed for it.
    let server = Process::command(&[], &settings(&url));
    let mut patient = std::process::Command::new("sh");
    patient.args(["-c", "trap '' XFSZ; exec \"$0\""]).arg(server.get_program());
    patient.envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut work = AtWork::on(Process::of(patient)).await;

    // when
    limit_files_of(work.server.id(), "0");
    work.is_out(Shows::ReadOnly).await;
    limit_files_of(work.server.id(), "unlimited");

    // then
    work.comes_back().await;
}
