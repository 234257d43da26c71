//! Checkpoints go out to a stream that someone else keeps.

use std::time::Duration;

use alm_core::{
    domain::Timestamp,
    ports::{BackendErrorKind, CheckpointOutlet as _, KeptCheckpoint, Outcome},
};
use alm_test_support::nats::NatsServer;
use async_nats::jetstream::{self, stream::Config};

use crate::given::{a_name, connect, options, told};

fn checkpoint(size: u64) -> KeptCheckpoint {
    let note = format!("alm/test\n{size}\n{size:044}\n\n— alm/test signature of {size}\n");
    KeptCheckpoint { size, at: Timestamp::parse("2026-12-01T00:00:00Z").unwrap(), note }
}

#[tokio::test]
async fn a_checkpoint_is_out_once_a_stream_has_it_and_there_once_however_often_it_comes() {
    // given
    let (server, name) = (NatsServer::shared(), a_name());
    let outlet = connect(options(&server.url(), &name)).await.checkpoints(&format!("checkpoints.{name}")).unwrap();

    // when no stream keeps it
    let error = outlet.publish(&checkpoint(3)).await.unwrap_err();
    // then
    assert_eq!((error.kind, error.outcome), (BackendErrorKind::Unavailable, Outcome::NotApplied));
    assert!(told(&error).contains(&format!("no stream keeps checkpoints.{name}: make one")), "{}", told(&error));

    // when one does
    let jetstream = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let config = Config { name: name.clone(), subjects: vec![format!("checkpoints.{name}")], ..Config::default() };
    let stream = jetstream.create_stream(config).await.unwrap();
    for size in [3, 3, 8] {
        outlet.publish(&checkpoint(size)).await.unwrap();
    }
    // then
    assert_eq!(stream.get_info().await.unwrap().state.messages, 2);
    for (sequence, size) in [(1, 3), (2, 8)] {
        let message = stream.get_raw_message(sequence).await.unwrap();
        assert_eq!(message.payload, checkpoint(size).note.as_bytes());
        assert_eq!(message.headers.get("Nats-Msg-Id").unwrap().as_str(), format!("alm/test@{size}"));
    }
}

#[tokio::test]
async fn a_checkpoint_that_is_not_permitted_is_told_as_such() {
    // given
    let server = NatsServer::start_with(|_| {
        "authorization { users: [ { user: a, password: b, permissions: { publish: [\"other\"] } } ] }".to_owned()
    });
    let options = options(&server.url().replace("nats://", "nats://a:b@"), &a_name());
    let bus = connect(options.request_timeout(Duration::from_millis(500))).await;

    // when
    let error = bus.checkpoints("checkpoints.alm").unwrap().publish(&checkpoint(3)).await.unwrap_err();

    // then
    assert_eq!(error.kind, BackendErrorKind::Timeout);
    assert!(told(&error).contains("Permissions Violation for Publish"), "{}", told(&error));
}

#[tokio::test]
async fn a_subject_that_is_none_or_one_of_the_bus_is_refused() {
    let bus = connect("nats://localhost".parse().unwrap()).await;
    for subject in ["", "a..b", "a.*", "a.>", "a b", "ä", "alm.v1.apps.created", "alm.heads.v1", "alm.replay.v1.x"] {
        assert!(bus.checkpoints(subject).is_err(), "{subject}");
    }
    for subject in ["checkpoints", "alm.checkpoints.v1", "alm.v1.checkpoints"] {
        assert!(bus.checkpoints(subject).is_ok(), "{subject}");
    }
}
