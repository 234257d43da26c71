//! The five services, as the README starts them.

use std::{path::Path, process::Command};

use super::{blocks, example};

/// Ends the cluster when the test is over, however.
struct Cluster(Command);

impl Drop for Cluster {
    fn drop(&mut self) {
        assert!(self.0.status().unwrap().success() || std::thread::panicking());
    }
}

#[test]
fn the_five_services_start_and_the_whole_path_holds_as_the_readme_says() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bash = |script: &str| {
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", script]).current_dir(root).env("ALM_SERVER", example("server"));
        command.env("ALM_CLUSTER_DIR", folder.path().join("cluster")).env("AUTO_DEPLOY", "staging");
        // Debian has NATS where only root looks.
        command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap()));
        command
    };
    let script = blocks("sh").into_iter().find(|block| block.contains("scripts/cluster up")).unwrap();
    let any_port = script.replace("cluster up", "cluster up --any-port");
    let (up, _down) = any_port.split_once("scripts/cluster down").unwrap();
    let cluster = Cluster(bash("scripts/cluster down"));

    let output = bash(up).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("all is as it should be"), "{printed}");

    // Whatever is killed, `up` brings it back, on the same data.
    let again = "kill -9 $(cat $ALM_CLUSTER_DIR/pid/version); scripts/cluster up --any-port; scripts/cluster status";
    let output = bash(again).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    drop(cluster);
    assert!(!folder.path().join("cluster").exists(), "nothing is left");
}
