//! Whatever is committed and trimmed, what can be read is the end of the log, without a gap.

use std::sync::Arc;

use alm_core::{
    changeset::{Change, Changeset},
    domain::{Event, Position},
    ports::{Committer, EventLog, StoreError, Trimmed},
    testing::{
        fixtures::{at, event_id, stamp, username},
        property,
    },
};
use alm_store_sqlite::SqliteStore;
use proptest::{collection::vec, prelude::*};

use crate::in_folder::InFolder;

#[derive(Clone, Debug)]
enum Step {
    Commit { events: usize, time: i64 },
    Trim { up_to: u64, before: i64, limit: usize },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_usize..5, 0_i64..10).prop_map(|(events, time)| Step::Commit { events, time }),
        4 => (0_u64..60, 0_i64..12, 0_usize..12).prop_map(|(up_to, before, limit)| Step::Trim { up_to, before, limit }),
        1 => Just(Step::Reopen),
    ]
}

/// What must be there: all events that there ever were, and how many of them are gone.
#[derive(Default)]
struct Expected {
    ever: Vec<Arc<Event>>,
    gone: usize,
}

impl Expected {
    fn trim(&mut self, up_to: u64, before: i64, limit: usize) -> Trimmed {
        let goes = |event: &&Arc<Event>| event.position.get() <= up_to && event.time < at(before);
        let events = self.ever[self.gone..].iter().take(limit).take_while(goes).count();
        self.gone += events;
        Trimmed { events: events as u64, oldest: Position::new(self.gone as u64 + 1) }
    }

    async fn is_shown(&self, store: &SqliteStore) -> Result<(), TestCaseError> {
        prop_assert_eq!(store.head().await.unwrap().get(), self.ever.len() as u64);
        prop_assert_eq!(store.oldest().await.unwrap().get(), self.gone as u64 + 1);
        for after in 0..self.ever.len() + 2 {
            match store.read(Position::new(after as u64), 7).await {
                Ok(page) => {
                    prop_assert!(after >= self.gone, "what is after {after} is gone");
                    let kept: Vec<_> = self.ever.iter().skip(after).take(7).cloned().collect();
                    prop_assert_eq!(page, kept);
                }
                Err(StoreError::Gone { oldest }) => {
                    prop_assert!(after < self.gone, "what is after {after} is kept");
                    prop_assert_eq!(oldest.get(), self.gone as u64 + 1);
                }
                Err(error) => panic!("{error}"),
            }
        }
        Ok(())
    }
}

async fn taken(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut subject = InFolder::new().await;
    let mut expected = Expected::default();
    for step in steps {
        match step {
            Step::Commit { events, time } => {
                let failed = || Change::login_failed(&username("ada"));
                let first = Changeset::of(stamp(time), failed(), event_id());
                let changeset = (1..events).fold(first, |changeset, _| changeset.and(failed(), event_id()));
                let head = store_head(&subject.store).await;
                subject.store.commit(changeset.clone()).await.unwrap();
                let log = subject.store.log_id();
                for (event, position) in changeset.events().iter().zip(head + 1..) {
                    let (position, changeset) = (Position::new(position), changeset.id());
                    expected.ever.push(Arc::new(Event { log, position, changeset, event: event.clone() }));
                }
            }
            Step::Trim { up_to, before, limit } => {
                let trimmed = subject.store.trim(Position::new(up_to), at(before), limit).await.unwrap();
                prop_assert_eq!(trimmed, expected.trim(up_to, before, limit));
            }
            Step::Reopen => drop(subject.reopen().await),
        }
        expected.is_shown(&subject.store).await?;
    }
    Ok(())
}

async fn store_head(store: &SqliteStore) -> u64 {
    store.head().await.unwrap().get()
}

proptest! {
    #![proptest_config(property(24))]

    #[test]
    fn what_is_left_after_any_trims_is_the_end_of_the_log(steps in vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(taken(steps))?;
    }
}
