//! `server health`: what an orchestrator asks.

use std::net::TcpListener;

use alm_test_support::{certificates::Authority, process::Ended};

use super::{Process, run};

/// What the subcommand says of the server at `port`.
fn asked(arguments: &[&str], port: &str, settings: &[(&str, &str)]) -> Ended {
    run(&[&["health"], arguments].concat(), &[&[("PORT", port)], settings].concat())
}

#[track_caller]
fn well(ended: &Ended) {
    assert_eq!(
        (ended.status.code(), ended.stdout.as_slice(), ended.stderr.as_slice()),
        (Some(0), &["ok".to_owned()][..], &[][..])
    );
}

#[track_caller]
fn unwell(ended: &Ended, reason: &str) {
    assert_eq!((ended.status.code(), ended.stdout.as_slice()), (Some(1), &[][..]));
    let [line] = ended.stderr.as_slice() else { panic!("it is not one line: {:?}", ended.stderr) };
    assert!(line.starts_with("error: ") && line.contains(reason), "{line}");
}

fn port_of(server: &mut Process) -> String {
    server.address_of("listening").rsplit(':').next().unwrap().to_owned()
}

#[test]
fn a_server_that_lives_is_well_until_it_is_gone() {
    let mut server = Process::serve(&[("BIND", "0.0.0.0")]);
    let port = port_of(&mut server);
    for bind in ["127.0.0.1", "0.0.0.0"] {
        well(&asked(&[], &port, &[("BIND", bind)]));
        well(&asked(&["--ready"], &port, &[("BIND", bind)]));
    }
    server.signal("TERM");
    server.ended();
    unwell(&asked(&[], &port, &[]), "does not answer");
}

#[test]
fn it_is_asked_at_the_address_that_it_has() {
    let mut server = Process::serve(&[("BIND", "127.0.0.2")]);
    let port = port_of(&mut server);
    well(&asked(&[], &port, &[("BIND", "127.0.0.2")]));
    unwell(&asked(&[], &port, &[]), "127.0.0.1");
}

#[test]
fn a_gateway_lives_without_its_services_but_is_not_ready() {
    let nowhere = "http://127.0.0.1:9";
    let settings = [
        ("SERVICES", "gateway"),
        ("APP_URL", nowhere),
        ("VERSION_URL", nowhere),
        ("DEPLOYMENT_URL", nowhere),
        ("AUDIT_URL", nowhere),
    ];
    let mut gateway = Process::serve(&settings);
    let port = port_of(&mut gateway);
    well(&asked(&[], &port, &settings));
    unwell(&asked(&["--ready"], &port, &settings), "/readyz answers 503");
}

#[test]
fn over_tls_it_needs_no_name() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (certificate, key) = authority.certify("server", "a server", "DNS:alm.example");
    let (copy, copied_key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::copy(certificate, &copy).unwrap();
    std::fs::copy(key, &copied_key).unwrap();
    let tls = [("TLS_CERT", copy.to_str().unwrap()), ("TLS_KEY", copied_key.to_str().unwrap())];
    let mut server = Process::serve(&tls);
    let port = port_of(&mut server);
    well(&asked(&[], &port, &tls));
    unwell(&asked(&[], &port, &[]), "HTTP");
}

#[test]
fn what_does_not_answer_or_speaks_otherwise_is_not_well() {
    // It takes connections, as the system does that for it, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    unwell(&asked(&[], &silent.local_addr().unwrap().port().to_string(), &[]), "within 3 s");
    unwell(&asked(&[], "0", &[]), "PORT");
}
