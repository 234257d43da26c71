//! What the user of one service tries on NATS that is not permitted to it, with the configuration that `docs/nats.md` gives.

use alm_test_support::{LONG, nats::NatsServer};
use async_nats::{ConnectOptions, Event, jetstream};
use tokio::{sync::mpsc, time::timeout};

const PASSWORD: &str = "nothing but tests has this password";

/// What the user `version` publishes, and may not.
pub(crate) struct Forbidden {
    pub(crate) name: &'static str,
    subject: &'static str,
    message: &'static str,
}

const fn forbidden(name: &'static str, subject: &'static str, message: &'static str) -> Forbidden {
    Forbidden { name, subject, message }
}

#[rustfmt::skip]
pub(crate) const FORBIDDEN: &[Forbidden] = &[
    forbidden("the version service tells that an app is gone", "alm.v1.apps.deleted", "{}"),
    forbidden("the version service tells that an account is gone", "alm.v1.users.deleted", "{}"),
    forbidden("the version service tells that a session is over", "alm.v1.users.session_ended", "{}"),
    forbidden("the version service tells of a deployment", "alm.v1.deployments.created", "{}"),
    forbidden("the version service tells by a subject that there is not", "alm.v1.teams.created", "{}"),
    forbidden("the stream is deleted", "$JS.API.STREAM.DELETE.ALM_EVENTS", ""),
    forbidden("the stream is emptied", "$JS.API.STREAM.PURGE.ALM_EVENTS", ""),
    forbidden("a message is deleted", "$JS.API.STREAM.MSG.DELETE.ALM_EVENTS", r#"{"seq":1}"#),
    forbidden("a message is read past the consumer", "$JS.API.STREAM.MSG.GET.ALM_EVENTS", r#"{"seq":1}"#),
    forbidden("another's consumer is deleted", "$JS.API.CONSUMER.DELETE.ALM_EVENTS.audit", ""),
    forbidden("another's messages are taken", "$JS.API.CONSUMER.MSG.NEXT.ALM_EVENTS.audit", "1"),
    forbidden("another's messages are acknowledged", "$JS.ACK.ALM_EVENTS.audit.1.1.1.1.0", "+ACK"),
    forbidden("a consumer of another's name is made", "$JS.API.CONSUMER.DURABLE.CREATE.ALM_EVENTS.audit", "{}"),
    forbidden("a snapshot of the stream is taken", "$JS.API.STREAM.SNAPSHOT.ALM_EVENTS", "{}"),
    forbidden("all streams are listed", "$JS.API.STREAM.NAMES", ""),
];

/// The sample in the guide for operators, and a user who may do everything.
fn config() -> String {
    let guide = include_str!("../../docs/nats.md");
    let sample = guide.split("```text\n").find(|text| text.starts_with("authorization")).unwrap();
    let sample = sample.split("```").next().unwrap().replace("$VERSION_PASSWORD", &format!("\"{PASSWORD}\""));
    sample.replacen("users: [", &format!("users: [ {{ user: operator, password: \"{PASSWORD}\" }}"), 1)
}

async fn connect(server: &NatsServer, user: &str, options: ConnectOptions) -> async_nats::Client {
    options.user_and_password(user.to_owned(), PASSWORD.to_owned()).connect(server.url()).await.unwrap()
}

#[tokio::test]
async fn a_service_does_on_nats_what_is_permitted_to_it_alone() {
    let server = NatsServer::start_with(|_| config());
    let operator = jetstream::new(connect(&server, "operator", ConnectOptions::new()).await);
    let stream = jetstream::stream::Config {
        name: "ALM_EVENTS".to_owned(),
        subjects: vec!["alm.v1.*.*".to_owned()],
        ..Default::default()
    };
    let mut stream = operator.create_stream(stream).await.unwrap();
    let durable = Some("audit".to_owned());
    let audit = jetstream::consumer::pull::Config { durable_name: durable, ..Default::default() };
    let mut audit = stream.create_consumer(audit).await.unwrap();
    operator.publish("alm.v1.apps.created", "{}".into()).await.unwrap().await.unwrap();

    let (tell, mut told) = mpsc::unbounded_channel();
    let options = ConnectOptions::new().event_callback(move |event| {
        let tell = tell.clone();
        async move {
            if let Event::ServerError(error) = event {
                // The test may have seen enough.
                let _ = tell.send(error.to_string().to_lowercase());
            }
        }
    });
    let version = connect(&server, "version", options).await;
    // Who may, does.
    jetstream::new(version.clone()).publish("alm.v1.versions.created", "{}".into()).await.unwrap().await.unwrap();

    let mut failures = Vec::new();
    let looked = async |stream: &mut jetstream::stream::Stream, audit: &mut jetstream::consumer::PullConsumer| {
        let state = stream.info().await.map(|info| (info.state.messages, info.state.consumer_count));
        let audit = audit.info().await.map(|info| (info.num_pending, info.num_ack_pending, info.num_waiting));
        format!("{:?} {:?}", state.ok(), audit.ok())
    };
    let before = looked(&mut stream, &mut audit).await;
    for Forbidden { name, subject, message } in FORBIDDEN {
        version.publish(*subject, (*message).into()).await.unwrap();
        match timeout(LONG, told.recv()).await {
            Ok(Some(told)) if told.contains("permissions violation") && told.contains(&subject.to_lowercase()) => {}
            other => failures.push(format!("{name}: {other:?}")),
        }
        let now = looked(&mut stream, &mut audit).await;
        if now != before {
            failures.push(format!("{name}: {before} became {now}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
