//! A server whose audit consumer does not commit its effect together with its checkpoint: what it does wrong must be found.

use std::{
    env,
    process::{self, Command},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use alm_core::{
    Alm,
    changeset::{Changeset, Checkpoint, ConsumerName},
    domain::{Event, NewAuditEntry, Position},
    ports::{Committer, EventLog, Ids, Reader, SystemIds, TokioTimer},
    runtime::{
        AuditConsumer, AutoDeploy, Cascade, Consumer, HandleError, Handled, Handler, HandlerContext, SessionConsumer,
    },
    testing::fixtures::stamp,
};
use alm_http::{
    Api,
    auth::Jwt,
    serve::{ServeConfig, serve},
};
use alm_store_sqlite::{SqliteOptions, SqliteStore};
use alm_test_support::{journal::Kind, process::Process};
use async_trait::async_trait;
use tokio::{net::TcpListener, sync::mpsc};

use crate::{
    round::{Fault, Round, run_on},
    system::{self, System},
};

/// Set in the process that is the broken server: which of the two it commits first.
const FIRST: &str = "ALM_BROKEN_FIRST";

/// The point between the two commits.
const BETWEEN: &str = "between";

#[test]
fn an_effect_that_is_committed_before_its_checkpoint_is_found() {
    is_found("effect", "broken::an_effect_that_is_committed_before_its_checkpoint_is_found", Kind::Twice);
}

#[test]
fn an_effect_that_is_committed_after_its_checkpoint_is_found() {
    is_found("checkpoint", "broken::an_effect_that_is_committed_after_its_checkpoint_is_found", Kind::NotAudited);
}

/// Runs a round with the broken server, which is this test in a process of its own.
#[track_caller]
fn is_found(first: &'static str, test: &'static str, kind: Kind) {
    if let Ok(first) = env::var(FIRST) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(be_broken(&first));
    }
    let mut system = System::with(system::Kind::Sqlite, move |settings| {
        let mut server = Command::new(env::current_exe().unwrap());
        server.args(["--exact", test, "--nocapture"]).env(FIRST, first).env_remove("ALM_FAILPOINT");
        server.envs(settings.iter().copied());
        Process::of(server)
    });
    let round = Round { name: "broken", store: system::Kind::Sqlite, cycles: 1, fault: Fault::Point(BETWEEN) };
    let seed = fastrand::u64(..);
    let report = run_on(&mut system, &round, seed).unwrap();
    assert_eq!(report.faults, 1);
    assert!(report.violations.iter().any(|violation| violation.kind == kind), "seed {seed}: {report:?}");
}

async fn be_broken(first: &str) {
    let path = env::var("DB_URL").unwrap().trim_start_matches("sqlite:").to_owned();
    let store = SqliteOptions::new(path).migrate(true).open().await.unwrap();
    let jwt = Arc::new(Jwt::hs256(env::var("JWT_SECRET").unwrap().as_bytes(), "alm", "alm").unwrap());
    let alm = Alm::builder(Arc::new(store.clone())).authenticator(jwt.clone()).token_issuer(jwt).build();
    let effects = Effects { store, left: env::var("ALM_FAILPOINT").ok().map(|point| times(&point)) };
    let audit: Arc<dyn Handler> = if first == "effect" {
        Arc::new(EffectFirst(effects))
    } else {
        let (later, waiting) = mpsc::unbounded_channel();
        tokio::spawn(effects.make(waiting));
        Arc::new(CheckpointFirst(later))
    };
    for handler in
        [audit, Arc::new(Cascade::default()), Arc::new(SessionConsumer::default()), Arc::new(AutoDeploy::to([]))]
    {
        let consumer = Consumer::new(alm.clone(), handler);
        tokio::spawn(async move { consumer.run(&TokioTimer).await });
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("\n{{\"message\": \"listening\", \"address\": \"{}\"}}", listener.local_addr().unwrap());
    serve(listener, Api::new(alm).router(), ServeConfig::default(), std::future::pending()).await;
}

fn times(point: &str) -> AtomicU64 {
    point.strip_prefix(BETWEEN).unwrap().trim_start_matches(':').parse::<u64>().unwrap().into()
}

/// Entries that are due, and the event of the last of them.
type Due = (Position, Vec<NewAuditEntry>);

/// What the audit consumer does, in commits of their own.
struct Effects {
    store: SqliteStore,
    /// How often it comes to the point between the commits until it ends there.
    left: Option<AtomicU64>,
}

impl Effects {
    async fn commit(&self, entries: Vec<NewAuditEntry>) {
        // Only a consumer records, so there is one for each commit.
        let name = SystemIds.uuid_v7().simple().to_string();
        // As much of it as the name of a consumer may have, and the end is what differs.
        let consumer = ConsumerName::parse(&name[1..]).unwrap();
        let nowhere = Checkpoint { consumer, log: self.store.log_id(), from: Position::START, to: Position::START };
        let changeset = Changeset::progress(stamp(0), nowhere);
        self.store.commit(entries.into_iter().fold(changeset, Changeset::recording)).await.unwrap();
    }

    fn between(&self) {
        if self.left.as_ref().is_some_and(|left| left.fetch_sub(1, Ordering::Relaxed) == 1) {
            eprintln!("ended at {BETWEEN}");
            process::abort();
        }
    }

    /// Makes the effects of which the checkpoint is committed.
    async fn make(self, mut waiting: mpsc::UnboundedReceiver<Due>) {
        while let Some((position, entries)) = waiting.recv().await {
            while self.checkpoint().await < position {
                tokio::task::yield_now().await;
            }
            self.between();
            self.commit(entries).await;
        }
    }

    async fn checkpoint(&self) -> Position {
        self.store.checkpoint(&AuditConsumer.name(), self.store.log_id()).await.unwrap().unwrap_or(Position::START)
    }
}

fn entries(events: &[Arc<Event>], cx: &HandlerContext<'_>) -> Vec<NewAuditEntry> {
    events.iter().map(|event| NewAuditEntry::of(event, cx.now())).collect()
}

struct EffectFirst(Effects);

#[async_trait]
impl Handler for EffectFirst {
    fn name(&self) -> ConsumerName {
        AuditConsumer.name()
    }

    async fn handle(&self, events: &[Arc<Event>], cx: &HandlerContext<'_>) -> Result<Handled, HandleError> {
        self.0.commit(entries(events, cx)).await;
        self.0.between();
        Ok(Handled::nothing(events.len()))
    }
}

struct CheckpointFirst(mpsc::UnboundedSender<Due>);

#[async_trait]
impl Handler for CheckpointFirst {
    fn name(&self) -> ConsumerName {
        AuditConsumer.name()
    }

    async fn handle(&self, events: &[Arc<Event>], cx: &HandlerContext<'_>) -> Result<Handled, HandleError> {
        let last = events.last().expect("there are some").position;
        self.0.send((last, entries(events, cx))).expect("someone makes them");
        Ok(Handled::nothing(events.len()))
    }
}
