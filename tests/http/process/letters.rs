//! `server dead-letters`.

use alm_core::{
    changeset::{Changeset, Checkpoint, ConsumerName, DeadLetter},
    domain::CloudEvent,
    ports::{Committer as _, EventLog as _, Reader as _},
    testing::{
        fixtures::{checkpoint, consumer, event, letter, stamp},
        inspect::audit_of,
    },
};
use alm_store_sqlite::{SqliteOptions, SqliteStore};
use serde_json::{Value, json};

use super::run;

struct Database(tempfile::TempDir);

impl Database {
    fn url(&self) -> String {
        format!("sqlite:{}", self.0.path().join("alm.db").display())
    }

    async fn open(&self) -> SqliteStore {
        SqliteOptions::new(self.0.path().join("alm.db")).migrate(true).open().await.unwrap()
    }
}

fn audit() -> ConsumerName {
    consumer("audit")
}

/// A database in which the audit consumer has given up on two messages: an event, and something that is none.
async fn with_letters() -> Database {
    let database = Database(tempfile::tempdir().unwrap());
    let store = database.open().await;
    let log = store.log_id();
    for (position, document) in [(1, None), (2, Some(json!("garbage")))] {
        let letter = letter(log, position, "it could not be handled");
        let whole = serde_json::to_value(CloudEvent::from(event(log, position).as_ref())).unwrap();
        let letter = DeadLetter { consumer: audit(), document: document.unwrap_or(whole), ..letter };
        let from_to = Checkpoint { consumer: audit(), ..checkpoint(log, position - 1, position) };
        store.commit(Changeset::progress(stamp(1), from_to).burying(letter)).await.unwrap();
    }
    store.close().await;
    database
}

#[tokio::test]
async fn letters_are_listed_a_line_each_and_tried_again() {
    // given
    let database = with_letters().await;
    let url = database.url();
    let letters = |arguments: &[&str]| run(&[&["dead-letters"], arguments].concat(), &[("DB_URL", &url)]);

    // when they are listed
    let listed = letters(&["list"]);
    assert_eq!((listed.status.code(), &listed.stderr), (Some(0), &vec![]));
    let lines: Vec<Value> = listed.stdout.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["consumer"], &lines[0]["reason"]), (&json!("audit"), &json!("it could not be handled")));
    assert_eq!(letters(&["list", "--consumer", "cascade"]).stdout, [""; 0]);
    assert_eq!(letters(&["list", "--position", "2"]).stdout.len(), 1);

    // when they are tried again
    let retried = letters(&["retry"]);
    assert_eq!(retried.status.code(), Some(1), "{:?}", retried.stdout);
    assert!(retried.stdout.last().unwrap().contains("1 handled, 1 left"), "{:?}", retried.stdout);
    assert_eq!(letters(&["list"]).stdout.len(), 1);

    // then the event is audited, once
    assert_eq!(letters(&["retry", "--position", "1"]).status.code(), Some(0));
    let store = database.open().await;
    assert_eq!(audit_of(&store).await.len(), 1);
    assert_eq!(store.dead_letters(&audit(), None, 10).await.unwrap().len(), 1);
    store.close().await;
}

#[test]
fn a_consumer_that_there_is_none_of_is_told_with_those_that_there_are() {
    let refused = run(&["dead-letters", "list", "--consumer", "audits"], &[]);
    assert_eq!(refused.status.code(), Some(1));
    let [line] = refused.stderr.as_slice() else { panic!("{:?}", refused.stderr) };
    assert!(line.contains("'audits'") && line.contains("cascade") && line.contains("relay"), "{line}");
}
