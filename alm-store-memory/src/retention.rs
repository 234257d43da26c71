//! What is old goes.

use alm_core::{
    domain::{Position, Timestamp},
    ports::{Bucket, Rate, Trimmed},
};

use crate::state::State;

impl State {
    /// Removes the oldest events, as long as they stand at `up_to` or below and happened before `before`.
    pub(crate) fn trim(&mut self, up_to: Position, before: Timestamp, limit: usize) -> Trimmed {
        let mut events = 0;
        while events < limit as u64 {
            let Some((position, event)) = self.log.first() else { break };
            if *position > up_to || event.time >= before {
                break;
            }
            let (position, changeset) = (*position, event.changeset);
            self.receipts.remove_mut(&changeset);
            self.log.remove_mut(&position);
            events += 1;
        }
        Trimmed { events, oldest: self.oldest() }
    }

    /// Counts an attempt, unless it is one too many.
    pub(crate) fn admit(&mut self, bucket: &Bucket, rate: Rate, now: Timestamp) -> Result<(), Timestamp> {
        let full_at = self.buckets.get(bucket).copied();
        let next = rate.admit(full_at, now)?;
        // Two of the oldest go for each that comes, so what is not filled any more goes faster than anything comes.
        for _ in 0..2 {
            let Some(oldest) = self.buckets_by_time.first().filter(|(full_at, _)| *full_at <= now).cloned() else {
                break;
            };
            self.buckets.remove_mut(&oldest.1);
            self.buckets_by_time.remove_mut(&oldest);
        }
        if let Some(full_at) = full_at {
            self.buckets_by_time.remove_mut(&(full_at, bucket.clone()));
        }
        self.buckets.insert_mut(bucket.clone(), next);
        self.buckets_by_time.insert_mut((next, bucket.clone()));
        Ok(())
    }

    /// Forgets answers that have expired at `now`, those first that expired first.
    pub(crate) fn forget_answers(&mut self, now: Timestamp, limit: usize) -> u64 {
        let mut answers = 0;
        while answers < limit as u64 {
            let Some((oldest, scope)) = self.remembered_by_expiry.first() else { break };
            if now < oldest.0 {
                break;
            }
            let (oldest, scope) = (*oldest, scope.clone());
            self.remembered_by_expiry.remove_mut(&oldest);
            // Another may be remembered for the same scope since.
            if self.remembered.get(&scope).is_some_and(|kept| !kept.is_live(now)) {
                self.remembered.remove_mut(&scope);
                answers += 1;
            }
        }
        answers
    }
}
