//! What the README tells a user to type gives what the README shows.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use alm_test_support::postgres::{Durability, Server};

const README: &str = include_str!("../../README.md");
const PASSWORD: &str = "correct horse battery";

/// A block of the README, by its language, in order.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    README.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// What the README shows below the block that contains `command`.
fn shown(command: &str) -> &'static str {
    let below = README.split(command).nth(1).and_then(|rest| rest.split("<!-- output -->\n").nth(1));
    let block = below.and_then(|rest| rest.split_once('\n')).and_then(|(_, rest)| rest.split("```").next());
    block.unwrap_or_else(|| panic!("the README shows no output for {command}"))
}

fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples").join(name)
}

/// A running example, killed when the test is over.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    // Where it keeps what it keeps.
    _folder: tempfile::TempDir,
}

impl Running {
    fn start(name: &str) -> Self {
        let mut command = Command::new(example(name));
        command.env_clear();
        Self::spawn(command, name)
    }

    fn spawn(mut command: Command, name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = command
            .current_dir(folder.path())
            .env("PORT", "0")
            .env("ADMIN_PASSWORD", PASSWORD)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("the example {name} does not start: {error}"));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout, _folder: folder }
    }

    /// The address in the line that says that it listens.
    fn address(&mut self) -> String {
        let mut line = String::new();
        while !line.contains("listening") {
            line.clear();
            assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "it has stopped before it listened");
        }
        let address = &line[line.find("127.0.0.1:").unwrap()..];
        address.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':')).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Runs `script` in bash and gives what it prints; `input` is typed into it.
fn bash(script: &str, input: &str) -> String {
    let mut child = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let mut printed = String::new();
    child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    assert!(child.wait().unwrap().success(), "{script}\n{printed}");
    printed
}

/// `text` without what differs from run to run: times, UUIDs.
fn normal(text: &str) -> String {
    let script = "sed -E -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z/TIME/g' -e 's/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/UUID/g' \
                  -e 's/\"timestamp\":[0-9]+/\"timestamp\":MS/g'";
    bash(script, text)
}

#[test]
fn the_server_answers_what_the_readme_shows() {
    let mut server = Running::start("server");
    let address = server.address();
    let scripts: Vec<_> = blocks("sh").into_iter().filter(|block| block.contains("alm ")).collect();
    let [change, audit] = scripts.as_slice() else { panic!("the README has other blocks than this test knows") };
    // A person takes longer to read than the audit log takes to follow; a script has to look.
    let wait =
        "for _ in $(seq 500); do case $(alm $URL/audit/events) in *DeploymentUpdated*) break;; esac; sleep 0.02; done";
    let script = format!("{change}\necho =====\n{wait}\n{audit}").replace("127.0.0.1:8080", &address);
    let printed = bash(&script, &format!("{PASSWORD}\n"));
    let (changed, audited) = printed.split_once("=====\n").unwrap();
    assert_eq!(normal(changed.trim_start()), normal(shown("alm $URL/apps --json")));
    assert_eq!(normal(audited), normal(shown("alm $URL/audit/events")));
    for event in ["AppCreated", "VersionCreated", "DeploymentCreated", "DeploymentUpdated"] {
        assert!(audited.contains(&format!("\"event\":\"{event}\"")), "{event}");
    }
}

#[test]
fn the_server_keeps_everything_in_postgresql_as_the_readme_says() {
    let database = Server::start(Durability::None);
    let script = blocks("sh").into_iter().find(|block| block.contains("DB_URL=")).unwrap();
    let here = script.replace("postgres://alm:PASSWORD@localhost/alm", &database.url());
    assert_ne!(here, script);
    // It takes the place of the shell, so that it ends with it.
    let here = here.replace("cargo run --release --example server", &format!("exec {}", example("server").display()));
    let mut command = Command::new("bash");
    command.args(["-euc", &here]).env_clear().env("PATH", std::env::var("PATH").unwrap());
    let mut server = Running::spawn(command, "server");
    let url = format!("http://{}/healthz", server.address());
    assert!(bash(&format!("curl -sS -o /dev/null -w '%{{http_code}}' {url}"), "").starts_with("200"));
}

#[test]
fn the_quickstart_is_the_one_in_the_readme_and_prints_what_it_shows() {
    assert_eq!(blocks("rust"), [include_str!("../../examples/quickstart.rs")]);
    let output = Command::new(example("quickstart")).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), shown("cargo run --example quickstart"));
}

#[test]
fn the_service_that_embeds_alm_answers_what_the_readme_shows() {
    let mut service = Running::start("embed");
    let address = service.address();
    let script = blocks("sh").into_iter().find(|block| block.contains("/release/")).unwrap();
    assert_eq!(bash(&script.replace("127.0.0.1:3000", &address), ""), shown("/release/billing/v1.2.0"));

    let mut line = String::new();
    let deadline = Instant::now() + Duration::from_secs(10);
    while line.is_empty() && Instant::now() < deadline {
        service.stdout.read_line(&mut line).unwrap();
    }
    assert_eq!(line, "version 1 runs in prod\n");
}

#[test]
fn the_property_test_passes_and_prints_what_the_readme_shows() {
    let output = Command::new(example("property_test")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), shown("cargo run --example property_test"));
}

#[test]
fn every_example_that_the_readme_runs_is_there() {
    // Those that it has the reader test are run as tests of their own.
    let run = README.lines().filter(|line| line.contains("cargo run "));
    let names: Vec<_> = run.filter_map(|line| line.split_once("--example ")?.1.split_whitespace().next()).collect();
    assert!(names.len() >= 4);
    for name in names {
        let name = name.trim_matches('`');
        assert!(example(name).is_file(), "{name}");
    }
}
