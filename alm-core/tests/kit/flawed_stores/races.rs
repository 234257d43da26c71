//! What goes wrong only when others commit at the same time.

use alm_core::{
    changeset::Receipt,
    domain::Timestamp,
    ports::{Bucket, IdBlock, Rate, Sequence, StoreError, Unique},
};
use tokio::task::yield_now;

use super::{
    commit::{Flawed, check},
    defect::Defect,
    parts::Parts,
    toy::State,
};

impl Flawed {
    pub(super) async fn commit_among_others(&self, mut parts: Parts) -> Result<Receipt, StoreError> {
        if let Some(receipt) = self.look_too_early(&mut parts).await? {
            return Ok(receipt);
        }
        match self.defect {
            Defect::LastWriterWins => self.overwrite(parts).await,
            Defect::CommitsEventsLater | Defect::CommitsWritesInTwoSteps | Defect::MixesCommits => {
                self.commit_in_two_steps(parts).await
            }
            Defect::ShowsTheLaterCommitFirst | Defect::HeadAheadOfTheLog => self.show_later(parts).await,
            _ => self.transact(&mut self.disk.lock(), parts),
        }
    }

    pub(super) async fn admit_among_others(
        &self,
        bucket: &Bucket,
        rate: Rate,
        now: Timestamp,
    ) -> Result<(), Timestamp> {
        let one = Bucket::parse("the only one").expect("a name");
        let bucket = if self.defect == Defect::MixesBuckets { &one } else { bucket };
        let before = self.disk.state();
        if self.defect == Defect::ReadsBucketsTooEarly {
            others_go_first().await;
        }
        let mut kept = self.disk.lock();
        let mut next = State::clone(if self.defect == Defect::ReadsBucketsTooEarly { &before } else { &kept.state });
        let mut answer = next.admit(bucket, rate, now);
        if let (Defect::CountsWhatIsRefused, Err(later)) = (self.defect, answer) {
            answer = next.admit(bucket, rate, later).and(Err(later));
        }
        kept.replace(next);
        answer
    }

    /// What looks before it takes the lock, and believes what it saw when it has it.
    async fn look_too_early(&self, parts: &mut Parts) -> Result<Option<Receipt>, StoreError> {
        let before = self.disk.state();
        match self.defect {
            Defect::ChecksGuardsTooEarly => {
                check(&parts.guards, &before)?;
                parts.guards.clear();
            }
            Defect::ChecksNamesTooEarly => {
                let taken = |name| before.apps.values().any(|app| app.name == name);
                if let Some(app) = parts.apps().find(|app| taken(app.name.clone())) {
                    return Err(StoreError::AlreadyExists(Unique::AppName(app.name.clone())));
                }
            }
            Defect::LooksForLettersTooEarly => {
                parts.letters_are_there(&before)?;
            }
            Defect::ChecksReceiptsTooEarly => {
                if let Some(receipt) = before.receipts.get(&parts.stamp.changeset) {
                    return Ok(Some(*receipt));
                }
            }
            _ => return Ok(None),
        }
        others_go_first().await;
        Ok(None)
    }

    /// Commits to what was there before others went on.
    async fn overwrite(&self, parts: Parts) -> Result<Receipt, StoreError> {
        let mut next = State::clone(&self.disk.state());
        others_go_first().await;
        let receipt = next.apply(&parts.stamp, parts.writes, parts.guards, parts.events, parts.checkpoint)?;
        self.disk.lock().replace(next);
        Ok(receipt)
    }

    async fn commit_in_two_steps(&self, parts: Parts) -> Result<Receipt, StoreError> {
        let id = parts.stamp.changeset;
        if let Some(receipt) = self.disk.state().receipts.get(&id) {
            return Ok(*receipt);
        }
        let [first, second] = parts.steps(self.defect);
        {
            let mut kept = self.disk.lock();
            self.transact(&mut kept, first)?;
            // Else the second step would look like the same changeset sent again.
            let mut next = State::clone(&kept.state);
            next.receipts.remove(&id);
            kept.replace(next);
        }
        others_go_first().await;
        self.transact(&mut self.disk.lock(), second)
    }

    /// Commits, and shows the events only after a while: the more there are, the later.
    async fn show_later(&self, parts: Parts) -> Result<Receipt, StoreError> {
        let events = parts.events.len();
        let (receipt, given) = {
            let mut kept = self.disk.lock();
            let before = kept.state.head().get();
            let receipt = self.transact(&mut kept, parts)?;
            let given = before + 1..=kept.state.head().get();
            kept.hidden.extend(given.clone());
            (receipt, given)
        };
        for _ in 0..events {
            others_go_first().await;
        }
        self.disk.lock().hidden.retain(|position| !given.contains(position));
        Ok(receipt)
    }

    /// Takes ids that others may take meanwhile.
    pub(super) async fn allocate_among_others(&self, sequence: Sequence, count: u32) -> IdBlock {
        let mut next = State::clone(&self.disk.state());
        others_go_first().await;
        let block = next.allocate(sequence, count);
        self.disk.lock().replace(next);
        block
    }
}

/// Lets other tasks do what they have to do.
pub(super) async fn others_go_first() {
    for _ in 0..20 {
        yield_now().await;
    }
}
