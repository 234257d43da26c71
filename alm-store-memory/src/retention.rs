//! What is old goes.

use alm_core::{
    domain::{Position, Timestamp},
    ports::Trimmed,
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
