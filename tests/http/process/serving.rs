use std::{collections::BTreeSet, io::Write};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Clients as _, Process, run};
use crate::support::{Client, Given, LONG, PASSWORD, SECRET, each, eventually};

async fn logged_in(client: &Client, password: &str) -> Client {
    let token = client.post("/login", &json!({"username": "admin", "password": password})).await.ok(200);
    client.with_token(token["access_token"].as_str().unwrap())
}

#[tokio::test]
async fn it_tells_the_whole_story_of_a_version() {
    let mut server = Process::serve(&[("ADMIN_PASSWORD", PASSWORD)]);
    let admin = logged_in(&server.client(), PASSWORD).await;
    let app = admin.app("billing").await;
    let version = admin.version(app, "v1.2.0").await;
    let deployment = admin.deployment(version, "prod").await;
    admin.moves(deployment, "successful").await;
    let story = ["AppCreated", "VersionCreated", "DeploymentCreated", "DeploymentUpdated"];
    eventually("the audit log has it all", async || {
        let entries = admin.get("/audit/events?source_service=DeploymentService").await.ok(200);
        (entries.as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    let entries = admin.get("/audit/events").await.ok(200);
    let told: Vec<_> =
        each(&entries, "event_type").into_iter().filter(|name| story.iter().any(|s| *name == s)).collect();
    assert_eq!(told, story);
}

#[tokio::test]
async fn without_a_password_it_makes_one_says_it_once_and_it_works() {
    let mut server = Process::serve(&[]);
    let said = server.said();
    let password = said.split_whitespace().last().unwrap().to_owned();
    assert!(said.contains("admin") && password.len() >= 16, "{said}");
    let admin = logged_in(&server.client(), &password).await;
    assert_eq!(each(&admin.get("/users").await.ok(200), "username"), ["admin"]);
    server.signal("TERM");
    let ended = server.ended();
    assert_eq!(ended.stderr, [""; 0], "it is said once");
    assert!(!ended.stdout.iter().any(|line| line.contains(&password)), "it is not logged");
}

#[tokio::test]
async fn the_given_password_is_not_said() {
    let mut server = Process::serve(&[("ADMIN_PASSWORD", PASSWORD)]);
    logged_in(&server.client(), PASSWORD).await;
    server.signal("TERM");
    assert_eq!(server.ended().stderr, [""; 0]);
}

#[tokio::test]
async fn secrets_are_read_from_files_without_the_line_break_at_their_end() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{PASSWORD}").unwrap();
    let mut secret = tempfile::NamedTempFile::new().unwrap();
    secret.write_all(SECRET).unwrap();
    secret.write_all(b"\r\n").unwrap();
    let mut server = Process::serve(&[
        ("ADMIN_PASSWORD_FILE", file.path().to_str().unwrap()),
        ("JWT_SECRET_FILE", secret.path().to_str().unwrap()),
    ]);
    logged_in(&server.client(), PASSWORD).await;
    let token = crate::support::token(&alm_core::Principal::system());
    server.client().with_token(token).get("/users").await.is(200);
}

#[tokio::test]
async fn a_token_of_the_subcommand_counts_at_a_server_with_the_same_secret() {
    let secret = str::from_utf8(SECRET).unwrap();
    let mut server = Process::serve(&[("JWT_SECRET", secret), ("JWT_ISSUER", "us"), ("JWT_AUDIENCE", "you")]);
    let client = server.client();
    let token = |arguments: &[&str], settings: &[(&str, &str)]| {
        let ended =
            run(&[&["token", "--sub", "ci"], arguments].concat(), &[&[("JWT_SECRET", secret)], settings].concat());
        assert_eq!((ended.status.code(), ended.stderr), (Some(0), vec![]));
        let [token] = ended.stdout.try_into().unwrap();
        client.with_token(token)
    };
    let settings = [("JWT_ISSUER", "us"), ("JWT_AUDIENCE", "you")];
    token(&["--role", "admin"], &settings).get("/users").await.is(200);
    token(&["--role", "user"], &settings).get("/users").await.problem(403, "forbidden");
    let auditor = token(&["--role", "user", "--scope", "auditor service"], &settings);
    auditor.get("/audit/events").await.is(200);
    assert_eq!(auditor.get("/events").await.ok(200)[1]["almactor"], "ci");
    token(&["--role", "admin"], &[]).get("/users").await.problem(401, "invalid-token");
    token(&["--role", "admin"], &settings[..1]).get("/users").await.problem(401, "invalid-token");
}

#[tokio::test]
async fn a_token_counts_as_long_as_the_server_is_told() {
    let mut server = Process::serve(&[("ADMIN_PASSWORD", PASSWORD), ("JWT_TTL_SECS", "77")]);
    let login = json!({"username": "admin", "password": PASSWORD});
    assert_eq!(server.client().post("/login", &login).await.ok(200)["expires_in"], 77);
}

#[tokio::test]
async fn metrics_count_requests_by_their_route() {
    let mut server = Process::serve(&[("ADMIN_PASSWORD", PASSWORD)]);
    let admin = logged_in(&server.client(), PASSWORD).await;
    let app = admin.app("billing").await;
    admin.get(format!("/apps/{app}")).await.is(200);
    admin.get("/apps/99").await.problem(404, "not-found");
    admin.call("FROBNICATE", "/nothing/of/the/kind").await.problem(404, "not-found");
    server.client().post("/login", &json!({"username": "admin", "password": "guess"})).await.is(401);
    let metrics = server.client().get("/metrics").await.is(200).text();
    let has = |name: &str, labels: &[&str], value: &str| {
        let mut lines = metrics.lines().filter(|line| line.starts_with(name) && line.ends_with(value));
        assert!(lines.any(|line| labels.iter().all(|label| line.contains(label))), "{name} {labels:?}\n{metrics}");
    };
    has("http_requests_total", &["route=\"/apps/{id}\"", "status=\"200\"", "method=\"GET\""], " 1");
    has("http_requests_total", &["route=\"/apps/{id}\"", "status=\"404\""], " 1");
    has("http_requests_total", &["route=\"unmatched\"", "method=\"other\""], " 1");
    has("http_request_duration_seconds_bucket", &["route=\"/apps/{id}\""], "");
    has("alm_login_failures_total", &[], " 1");
    has("alm_consumer_lag_events", &["consumer=\"audit\""], "");
    has("alm_log_head_position", &[], "");
    assert!(!metrics.contains("billing") && !metrics.contains("of/the/kind"));
}

/// The names of metrics in the table of `docs/metrics.md`.
fn documented_metrics() -> BTreeSet<String> {
    let page = include_str!("../../../docs/metrics.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split('`').next().unwrap().to_owned()).collect()
}

/// Those that an exposition has.
fn exposed_metrics(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_metrics_tell_of_what_is_committed_and_are_all_documented() {
    let folder = tempfile::tempdir().unwrap();
    let db = format!("sqlite:{}", folder.path().join("alm.db").display());
    let mut server = Process::serve(&[("ADMIN_PASSWORD", PASSWORD), ("AUTO_DEPLOY", "staging"), ("DB_URL", &db)]);
    let admin = logged_in(&server.client(), PASSWORD).await;
    let app = admin.app("billing").await;
    let version = admin.version(app, "v1").await;
    let deployment = admin.deployment(version, "prod").await;
    admin.put(format!("/deployments/{deployment}"), &json!({"status": "failed"})).await.is(200);
    admin.post("/apps", &json!({"name": "billing"})).await.is(409);
    let client = server.client();
    let read = async || client.get("/metrics").await.is(200).text();
    let says = async |line: &str| {
        eventually(line, async || read().await.lines().any(|said| said.starts_with(line)).then_some(())).await;
    };
    says(r#"alm_deployments_total{app_id="1",environment="prod",status="pending"} 1"#).await;
    says(r#"alm_deployments_total{app_id="1",environment="prod",status="failed"} 1"#).await;
    says(r#"alm_deployments_total{app_id="1",environment="staging",status="pending"} 1"#).await;
    says(r#"alm_events_total{event_type="DeploymentCreated"} 2"#).await;
    says(r#"alm_commits_total{outcome="already-exists"} 1"#).await;
    says(r#"alm_dead_letters{consumer="audit"} 0"#).await;
    says(r#"alm_consumer_lag_seconds{consumer="audit"} 0"#).await;
    says(r#"alm_deployments_total{app_id="1",environment="prod",status="successful"} 0"#).await;
    says("alm_login_failures_total 0").await;
    says("alm_store_up 1").await;
    says(r#"alm_store_connections{state="idle"}"#).await;
    says("alm_store_connections_max 4").await;
    // Every entry is signed for, soon.
    says("alm_audit_checkpoint_timestamp_seconds 1").await;
    let text = read().await;
    assert!(text.contains("alm_commit_batch_size_count{store=\"sqlite\"}"), "{text}");
    assert!(text.contains("alm_build_info{version="), "{text}");
    let (documented, exposed) = (documented_metrics(), exposed_metrics(&text));
    assert_eq!(exposed.difference(&documented).collect::<Vec<_>>(), Vec::<&String>::new(), "not in docs/metrics.md");
    assert!(exposed.len() > 15, "{exposed:?}");
}

#[tokio::test]
async fn metrics_move_to_a_port_of_their_own() {
    let mut server = Process::serve(&[("METRICS_PORT", "0")]);
    server.client().get("/metrics").await.problem(404, "not-found");
    let address = server.logged("metrics")["address"].as_str().unwrap().to_owned();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |path: &str| http.get(format!("http://{address}{path}")).send().await.unwrap();
    let metrics = get("/metrics").await;
    assert_eq!(metrics.status(), 200);
    assert!(metrics.text().await.unwrap().contains("http_requests_total"));
    assert_eq!(get("/apps").await.status(), 404);
}

#[tokio::test]
async fn the_metrics_are_at_home_and_their_port_leads_nowhere_else() {
    let mut server = Process::serve(&[("METRICS_PORT", "0"), ("BIND", "0.0.0.0")]);
    let address = server.address_of("metrics");
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let mut server = Process::serve(&[("METRICS_PORT", "0"), ("METRICS_BIND", "127.0.0.2")]);
    let address = server.address_of("metrics");
    assert!(address.starts_with("127.0.0.2:"), "{address}");
    for path in ["/healthz", "/apps", "/docs/", "/openapi.json", "/"] {
        assert!(raw(&address, path).await.starts_with("HTTP/1.1 404"), "{path}");
    }
}

#[tokio::test]
async fn no_way_leads_from_the_public_port_to_the_metrics() {
    let mut server = Process::serve(&[("METRICS_PORT", "0")]);
    let address = server.address_of("listening");
    let url = format!("http://{address}");
    let mut gateway = Process::serve(&[
        ("SERVICES", "gateway"),
        ("METRICS_PORT", "0"),
        ("APP_URL", &url),
        ("VERSION_URL", &url),
        ("DEPLOYMENT_URL", &url),
        ("AUDIT_URL", &url),
    ]);
    let metrics = [server.address_of("metrics"), gateway.address_of("metrics")];
    for public in [address, gateway.address_of("listening")] {
        let absolute: Vec<_> = metrics.iter().map(|address| format!("http://{address}/metrics")).collect();
        let mut paths = vec![
            "/metrics",
            "//metrics",
            "/metrics/",
            "/metrics?a=b",
            "/%6detrics",
            "/%2fmetrics",
            "/./metrics",
            "/apps/../metrics",
            "/apps/%2e%2e/metrics",
            "/apps/..%2fmetrics",
            "/metrics%00",
            "/metrics;a",
            "/METRICS",
            "\\metrics",
            "*",
            "http://localhost/metrics",
            "http://localhost//metrics",
        ];
        paths.extend(absolute.iter().map(String::as_str));
        for path in paths {
            let answer = raw(&public, path).await;
            assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
            assert!(!answer.contains("http_requests_total"), "{path}: {answer}");
        }
    }
    for address in metrics {
        assert!(raw(&address, "/metrics").await.contains("http_requests_total"));
    }
}

/// What `GET` of a target answers, as it stands.
async fn raw(address: &str, target: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nhost: alm\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(LONG, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn each_new_version_is_deployed_where_the_server_is_told() {
    let mut server = Process::serve(&[("ADMIN_PASSWORD", PASSWORD), ("AUTO_DEPLOY", "dev, staging")]);
    let admin = logged_in(&server.client(), PASSWORD).await;
    let app = admin.app("billing").await;
    admin.version(app, "v1").await;
    let deployments = eventually("both are deployed", async || {
        let deployments = admin.get("/deployments").await.ok(200);
        (deployments.as_array().unwrap().len() == 2).then_some(deployments)
    })
    .await;
    assert_eq!(each(&deployments, "environment"), ["dev", "staging"]);
    assert_eq!(each(&deployments, "status"), ["pending", "pending"]);
}
