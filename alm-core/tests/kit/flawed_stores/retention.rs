//! What is old goes, and what goes wrong with it.

use alm_core::{
    domain::{Position, Timestamp},
    ports::Trimmed,
};

use super::{commit::Flawed, defect::Defect, races::others_go_first, toy::State};

impl Flawed {
    pub(super) async fn trim_among_others(&self, up_to: Position, before: Timestamp, limit: usize) -> Trimmed {
        if self.defect == Defect::CountsWhatGoesTooEarly {
            let counted = State::clone(&self.disk.state()).trim(up_to, before, limit).events;
            others_go_first().await;
            let limit = usize::try_from(counted).expect("a small number");
            return self.trim_now(Position::new(u64::MAX), Timestamp::MAX, limit);
        }
        let (up_to, before, limit) = match self.defect {
            Defect::TrimsAboveTheBound => (up_to.next(), before, limit),
            Defect::TrimsTheYoung => (up_to, Timestamp::MAX, limit),
            Defect::TrimsWithoutLimit => (up_to, before, usize::MAX),
            _ => (up_to, before, limit),
        };
        self.trim_now(up_to, before, limit)
    }

    fn trim_now(&self, up_to: Position, before: Timestamp, limit: usize) -> Trimmed {
        let mut kept = self.disk.lock();
        let mut next = State::clone(&kept.state);
        let trimmed = if self.defect == Defect::TrimsInTheMiddle {
            trim_anywhere(&mut next, up_to, before, limit)
        } else {
            next.trim(up_to, before, limit)
        };
        match self.defect {
            Defect::PositionsStartAgain if next.log.is_empty() => next.trimmed = 0,
            Defect::TrimsTheAuditLog if trimmed.events > 0 => next.audit.clear(),
            Defect::TrimsAllReceipts if trimmed.events > 0 => next.receipts.clear(),
            _ => {}
        }
        kept.replace(next);
        trimmed
    }

    pub(super) fn forget(&self, now: Timestamp, limit: usize) -> u64 {
        let (now, limit) = match self.defect {
            Defect::ForgetsLiveAnswers => (Timestamp::MAX, limit),
            Defect::ForgetsWithoutLimit => (now, usize::MAX),
            Defect::ForgetsNoAnswer => return 0,
            _ => (now, limit),
        };
        let mut kept = self.disk.lock();
        let mut next = State::clone(&kept.state);
        let forgotten = next.forget_answers(now, limit);
        kept.replace(next);
        forgotten
    }
}

fn trim_anywhere(state: &mut State, up_to: Position, before: Timestamp, limit: usize) -> Trimmed {
    let mut events = 0;
    state.log.retain(|logged| {
        let goes = logged.0.position <= up_to && logged.0.time < before && events < limit as u64;
        events += u64::from(goes);
        !goes
    });
    state.trimmed += events;
    Trimmed { events, oldest: state.oldest() }
}
