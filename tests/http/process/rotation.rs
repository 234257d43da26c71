//! `server log rotate`.

use alm_core::{
    changeset::{Change, Changeset, Checkpoint},
    domain::{LogId, Position},
    ports::{Committer as _, EventLog as _, Sequence},
    testing::fixtures::{app, consumer, of, stamp},
};
use alm_store_sqlite::{SqliteOptions, SqliteStore};
use alm_test_support::process::Ended;

use super::run;

struct Database(tempfile::TempDir);

impl Database {
    fn url(&self) -> String {
        format!("sqlite:{}", self.0.path().join("alm.db").display())
    }

    async fn open(&self) -> SqliteStore {
        SqliteOptions::new(self.0.path().join("alm.db")).migrate(true).open().await.unwrap()
    }

    /// Which log it has, and where that begins.
    async fn log(&self) -> (LogId, u64) {
        let store = self.open().await;
        let log = (store.log_id(), store.oldest().await.unwrap().get());
        store.close().await;
        log
    }

    fn rotate(&self, arguments: &[&str]) -> Ended {
        run(&[&["log", "rotate"], arguments].concat(), &[("DB_URL", &self.url())])
    }
}

/// Three events, of which the relay has told two and the audit has one.
async fn restored() -> Database {
    let database = Database(tempfile::tempdir().unwrap());
    let store = database.open().await;
    for id in 1..=3 {
        store.commit(of(Change::app_created(&app(id, &format!("app-{id}"))))).await.unwrap();
    }
    for (name, to) in [("relay", 2), ("audit", 1)] {
        let (consumer, to) = (consumer(name), Position::new(to));
        let checkpoint = Checkpoint { consumer, log: store.log_id(), from: Position::START, to };
        store.commit(Changeset::progress(stamp(0), checkpoint)).await.unwrap();
    }
    store.close().await;
    database
}

#[tokio::test]
async fn a_log_is_rotated_only_when_that_is_wanted_and_as_often_as_it_is() {
    // given
    let database = restored().await;
    let first = database.log().await;

    // when no one is there to be asked
    let refused = database.rotate(&[]);

    // then it says what it would do, and does nothing
    assert_eq!(refused.status.code(), Some(1));
    let [line] = refused.stderr.as_slice() else { panic!("{:?}", refused.stderr) };
    assert!(line.contains("--yes") && line.contains("nothing was changed"), "{line}");
    let plan = refused.stdout.join("\n");
    assert!(plan.contains(&format!("{}: the log {} ends at position 3", database.url(), first.0)), "{plan}");
    assert!(plan.contains("begins at position 2") && plan.contains("Positions 2 to 2"), "{plan}");
    assert_eq!(database.log().await, first);

    // when it is wanted
    let done = database.rotate(&["--yes", "--skip-ids", "500"]);
    assert_eq!((done.status.code(), &done.stderr), (Some(0), &vec![]));
    let second = database.log().await;
    let said = done.stdout.join("\n");
    assert!(second.0 != first.0 && second.1 == 2);
    for part in
        [first.0.to_string(), second.0.to_string(), "begins at position 2".to_owned(), "start the server".to_owned()]
    {
        assert!(said.contains(&part), "{part} is not in {said}");
    }
    let store = database.open().await;
    assert_eq!(store.allocate(Sequence::Apps, 1).await.unwrap().first, 501);
    store.close().await;

    // when it is wanted again, and a consumer is not in use any more
    assert_eq!(database.rotate(&["--yes", "--forget", "audit"]).status.code(), Some(0));
    let third = database.log().await;
    assert!(third.0 != second.0 && third.1 == 3);
}

#[tokio::test]
async fn what_no_relay_has_told_stays_unless_that_is_known_to_be_wrong() {
    let database = Database(tempfile::tempdir().unwrap());
    let store = database.open().await;
    store.commit(of(Change::app_created(&app(1, "app-1")))).await.unwrap();
    let (from, to) = (Position::START, Position::new(1));
    let checkpoint = Checkpoint { consumer: consumer("audit"), log: store.log_id(), from, to };
    store.commit(Changeset::progress(stamp(0), checkpoint)).await.unwrap();
    store.close().await;

    let done = database.rotate(&["--yes"]);
    assert!(done.status.success() && done.stdout.join("\n").contains("--forget relay"), "{:?}", done.stdout);
    assert_eq!(database.log().await.1, 1);
    assert!(database.rotate(&["--yes", "--forget", "relay"]).status.success());
    assert_eq!(database.log().await.1, 2);
}

#[tokio::test]
async fn what_can_not_be_rotated_is_said_in_one_line() {
    let database = restored().await;
    let before = database.log().await;
    let line = |ended: Ended| {
        let [line] = ended.stderr.as_slice() else { panic!("{:?}", ended.stderr) };
        assert!(!ended.status.success());
        line.clone()
    };
    let mistyped = line(database.rotate(&["--yes", "--forget", "audits"]));
    assert!(mistyped.contains("'audits'") && mistyped.contains("audit, relay"), "{mistyped}");
    let rotate = |url: &str| line(run(&["log", "rotate", "--yes"], &[("DB_URL", url)]));
    assert!(rotate("memory:").contains("memory:"));
    let nowhere = format!("{}.not", database.url());
    assert!(rotate(&nowhere).contains("there is no "));
    let store = database.open().await;
    let used = rotate(&database.url());
    assert!(used.contains("stop every server"), "{used}");
    store.close().await;
    assert_eq!(database.log().await, before);
}
