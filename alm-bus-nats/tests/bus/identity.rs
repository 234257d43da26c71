//! Who may come in, and what is told of those who may not.

use std::{fs, sync::Arc, time::Duration};

use alm_bus_nats::{NatsBus, NatsOptions};
use alm_core::{
    domain::{AccessDenied, Actor, Event, EventData, LogId, Position, VersionData},
    ports::{BackendErrorKind, BusState, EventBus, EventLog, Head},
    testing::fixtures::{consumer, version},
};
use alm_store_memory::MemoryStore;
use alm_test_support::{
    certificates::Authority,
    eventually,
    nats::{NatsServer, tls_config},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;

use crate::given::{a_log, a_name, connect, events, fault, options, publish, subscribe, take, told};

const SECRET: &str = "s3cr-t";

fn options_of(url: &str) -> NatsOptions {
    options(url, &a_name()).request_timeout(Duration::from_secs(2))
}

async fn assert_let_in(options: NatsOptions) {
    let bus = connect(options).await;
    publish(&bus, &events(a_log(), 1, 1)).await;
    assert_eq!(bus.state(), BusState::Up);
    assert!(!format!("{bus:?}").contains(SECRET));
}

/// What `bus` says of why it can't come in.
async fn refusal(bus: &NatsBus, expected: &str) {
    let error = eventually(&format!("it tells: {expected}"), async || {
        let error = fault(bus.publish(&events(a_log(), 1, 1)).await.unwrap_err());
        assert_eq!(error.kind, BackendErrorKind::Unavailable);
        told(&error).contains(expected).then_some(error)
    })
    .await;
    for text in [told(&error), format!("{error:?}"), format!("{bus:?}")] {
        assert!(!text.contains(SECRET), "{text}");
    }
    assert_eq!(bus.state(), BusState::Down);
}

async fn assert_kept_out(options: NatsOptions, expected: &str) {
    assert!(!format!("{options:?}").contains(SECRET));
    refusal(&connect(options).await, expected).await;
}

#[tokio::test]
async fn by_password() {
    let config = format!("authorization {{ user: ada, password: \"{SECRET}\" }}");
    let server = NatsServer::start_with(|_| config);
    let host = server.host();
    assert_let_in(options_of(&format!("nats://ada:{SECRET}@{host}"))).await;
    assert_let_in(options_of(&server.url()).user_and_password("ada", SECRET)).await;
    assert_kept_out(options_of(&format!("nats://ada:{SECRET}x@{host}")), "authorization violation").await;
    assert_kept_out(options_of(&server.url()), "authorization violation").await;
}

#[tokio::test]
async fn by_token() {
    let server = NatsServer::start_with(|_| format!("authorization {{ token: \"{SECRET}\" }}"));
    assert_let_in(options_of(&format!("nats://{SECRET}@{}", server.host()))).await;
    assert_kept_out(options_of(&server.url()).token(format!("{SECRET}x")), "authorization violation").await;
}

#[tokio::test]
async fn by_nkey() {
    // given
    let (mine, other) = (KeyPair::new_user(), KeyPair::new_user());
    let config = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", mine.public_key());
    let server = NatsServer::start_with(|_| config);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seed");
    fs::write(&file, format!("{}\n", mine.seed().unwrap())).unwrap();

    // then
    assert_let_in(options_of(&server.url()).nkey(mine.seed().unwrap())).await;
    assert_let_in(options_of(&format!("{}?nkey={}", server.url(), file.display()))).await;
    assert_kept_out(options_of(&server.url()).nkey(other.seed().unwrap()), "authorization violation").await;
    assert_kept_out(options_of(&server.url()).nkey(SECRET), "nonce").await;
}

/// A JWT as `nsc` makes them: <https://docs.nats.io/running-a-nats-service/nats_admin/security/jwt>.
fn jwt(by: &KeyPair, of: &KeyPair, nats: &str) -> String {
    let (iss, sub) = (by.public_key(), of.public_key());
    let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let claims = format!(r#"{{"jti":"x","iat":1700000000,"iss":"{iss}","name":"x","sub":"{sub}","nats":{nats}}}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(by.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

#[tokio::test]
async fn by_a_credentials_file() {
    // given an operator, an account with JetStream, and a user of it
    let (operator, system) = (KeyPair::new_operator(), KeyPair::new_account());
    let (account, user) = (KeyPair::new_account(), KeyPair::new_user());
    let system_account = system.public_key();
    let claims = format!(r#"{{"type":"operator","version":2,"system_account":"{system_account}"}}"#);
    let of_operator = jwt(&operator, &operator, &claims);
    let limits = r#"{"subs":-1,"data":-1,"payload":-1,"imports":-1,"exports":-1,"wildcards":true,"conn":-1,"leaf":-1,
        "mem_storage":-1,"disk_storage":-1,"streams":-1,"consumer":-1}"#;
    let of_account = jwt(&operator, &account, &format!(r#"{{"type":"account","version":2,"limits":{limits}}}"#));
    let unlimited =
        r#"{"subs":-1,"data":-1,"payload":-1,"imports":-1,"exports":-1,"wildcards":true,"conn":-1,"leaf":-1}"#;
    let of_system = jwt(&operator, &system, &format!(r#"{{"type":"account","version":2,"limits":{unlimited}}}"#));
    let of_user = jwt(&account, &user, r#"{"type":"user","version":2,"subs":-1,"data":-1,"payload":-1}"#);
    let config = format!(
        "operator: {of_operator}\nsystem_account: {system_account}\nresolver: MEMORY\n\
         resolver_preload {{ {}: {of_account}, {system_account}: {of_system} }}",
        account.public_key()
    );
    let server = NatsServer::start_with(|_| config);
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, jwt: &str, key: &KeyPair| {
        let file = folder.path().join(name);
        let seed = key.seed().unwrap();
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        fs::write(&file, text).unwrap();
        file
    };
    let (mine, foreign) = (put("mine", &of_user, &user), put("foreign", &of_user, &KeyPair::new_user()));

    // then
    assert_let_in(options_of(&server.url()).credentials_file(&mine)).await;
    assert_let_in(options_of(&format!("{}?credentials={}", server.url(), mine.display()))).await;
    assert_kept_out(options_of(&server.url()).credentials_file(foreign), "authorization violation").await;
}

#[tokio::test]
async fn files_that_are_not_what_they_should_be_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (missing, broken) = (folder.path().join("missing"), folder.path().join("broken"));
    fs::write(&broken, SECRET).unwrap();
    let options = || options_of("nats://127.0.0.1:1");
    for (options, expected) in [
        (options().credentials_file(&missing), "missing can't be read"),
        (options().nkey_file(&missing), "missing can't be read"),
        (options().root_certificates(&missing), "missing can't be read"),
        (options().client_certificate(&broken, &missing), "missing can't be read"),
        (options().credentials_file(&broken), "does not hold a JWT"),
        (options_of("nats://127.0.0.1:1?tls_cert=/x"), "needs its key"),
        (options().stream("a b"), "the name of the stream"),
        (options().subject_prefix("a.*"), "the prefix of the subjects"),
        (options().replicas(0), "the number of replicas"),
    ] {
        let error = fault(NatsBus::connect(options).await.unwrap_err());
        let told = format!("{} {error:?}", told(&error));
        assert!(told.contains(expected) && !told.contains(SECRET), "{told}");
    }
}

#[tokio::test]
async fn in_tls_with_certificates_of_both() {
    // given
    let (authority, other) = (Authority::new(), Authority::new());
    let server = NatsServer::start_at(|folder, address| tls_config(folder, &authority, &format!("IP:{address}")));
    let (certificate, key) = authority.certify("client", "a client", "DNS:client");
    let (foreign, foreign_key) = other.certify("client", "a client", "DNS:client");
    let url = format!("tls://{}", server.host());

    // then
    let trusting = options_of(&url).root_certificates(authority.ca());
    assert_let_in(trusting.clone().client_certificate(&certificate, &key)).await;
    let in_url = format!(
        "{url}?tls_ca={}&tls_cert={}&tls_key={}",
        authority.ca().display(),
        certificate.display(),
        key.display()
    );
    assert_let_in(options_of(&in_url)).await;
    assert_kept_out(options_of(&url).root_certificates(other.ca()).client_certificate(&certificate, &key), "TLS").await;
    refused(trusting.clone()).await;
    refused(trusting.client_certificate(foreign, foreign_key)).await;
}

/// It does not come in; the words depend on when the connection breaks.
async fn refused(options: NatsOptions) {
    let bus = connect(options).await;
    let error = fault(bus.publish(&events(a_log(), 1, 1)).await.unwrap_err());
    assert_eq!(error.kind, BackendErrorKind::Unavailable, "{}", told(&error));
}

#[tokio::test]
async fn what_is_not_permitted_is_told() {
    let server = NatsServer::start_with(|_| {
        "authorization { users: [ { user: ada, password: x, permissions: { publish: [\"$JS.API.STREAM.*.*\"] } } ] }"
            .to_owned()
    });
    let bus = connect(options_of(&format!("nats://ada:x@{}", server.host()))).await;
    let error = fault(
        eventually("it is connected", async || {
            let error = bus.publish(&events(a_log(), 1, 1)).await.unwrap_err();
            (bus.state() == BusState::Up).then_some(error)
        })
        .await,
    );
    assert!(told(&error).to_lowercase().contains("permissions violation"), "{}", told(&error));
}

/// The sample in the guide for operators, with a stream and a prefix of its own.
fn sample(name: &str) -> String {
    let guide = include_str!("../../../docs/nats.md");
    let sample = guide.split("```text\n").find(|text| text.starts_with("authorization")).unwrap();
    let sample = sample.split("```").next().unwrap().replace("$VERSION_PASSWORD", SECRET);
    sample.replace("ALM_EVENTS", name).replace("\"alm.", &format!("\"{name}."))
}

/// What a service of versions has to tell: of its versions, and whom it has refused.
fn of_versions(log: LogId) -> Vec<Arc<Event>> {
    let refused = AccessDenied { user: Actor::anonymous(), action: "delete_version".to_owned() };
    let data = [EventData::VersionCreated(VersionData::from(&version(1, 1, "v1"))), EventData::AccessDenied(refused)];
    let event = |(event, data): (Arc<Event>, EventData)| {
        let mut event = event.as_ref().clone();
        event.event.data = data;
        Arc::new(event)
    };
    events(log, 1, 2).into_iter().zip(data).map(event).collect()
}

#[tokio::test]
async fn what_the_guide_permits_is_enough_and_no_more() {
    // given
    let (name, log) = (a_name(), a_log());
    let config = sample(&name);
    let server = NatsServer::start_with(|_| config);
    let options = options(&format!("nats://version:{SECRET}@{}", server.host()), &name);
    let bus = connect(options.request_timeout(Duration::from_secs(2))).await;

    // then everything that a service does is permitted
    let published = of_versions(log);
    publish(&bus, &published).await;
    let mut reader = subscribe(&bus, "version").await;
    assert_eq!(take(reader.as_mut(), 2).await, published);
    let mut heads = bus.heads().await.unwrap();
    let head = Head { log, position: Position::new(3) };
    eventually("it is heard", async || {
        bus.announce(head).await.unwrap();
        tokio::time::timeout(Duration::from_millis(50), heads.next()).await.is_ok().then_some(())
    })
    .await;
    let store = Arc::new(MemoryStore::new());
    let serving = bus.serve_replays(store.clone());
    let asking = eventually("it is replayed", async || bus.replay(store.log_id(), Position::START, 1).await.ok());
    tokio::select! {
        ended = serving => panic!("{ended:?}"),
        replayed = asking => assert_eq!(replayed, []),
    }

    // and another's consumer is not
    let error = fault(bus.subscribe(&consumer("audit")).await.err().unwrap());
    assert!(told(&error).to_lowercase().contains("permissions violation"), "{}", told(&error));
}
