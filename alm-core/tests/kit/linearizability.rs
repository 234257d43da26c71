//! The checker explains what can be explained, and nothing else.

use std::{panic::AssertUnwindSafe, sync::Arc};

use alm_core::{
    domain::Revision,
    ports::Store,
    testing::{
        fixtures::{at, deployment_id},
        linearizability::{
            History, Recorder, RegisterAnswer, RegisterOperation, RevisionRegister, Specification, Violation, WhatRuns,
            WhatRunsAnswer, WhatRunsOperation, check, drive,
        },
        property,
    },
};
use alm_store_memory::MemoryStore;
use futures_util::FutureExt;
use proptest::{collection::vec, option, prelude::*, test_runner::TestRunner};

use crate::odd_store::{OddStore, Oddity};

type Operation = RegisterOperation<u8>;
type Answer = RegisterAnswer<u8>;

const REGISTER: RevisionRegister<u8> = RevisionRegister { revision: Revision::FIRST, value: 0 };

fn write(expected: u64, value: u8) -> Operation {
    RegisterOperation::Write { expected: Revision::new(expected), value }
}

fn reads(revision: u64, value: u8) -> Answer {
    RegisterAnswer::Value { revision: Revision::new(revision), value }
}

/// One moment of a history: the call of this name is invoked, or it is answered.
enum Step {
    Invoke(char, Operation),
    Answer(char, Answer),
    Forget(char),
}
use Step::{Answer as Answered, Forget, Invoke};

const READ: Operation = RegisterOperation::Read;
const DONE: Answer = RegisterAnswer::Done;
const CONFLICT: Answer = RegisterAnswer::Conflict;

fn history(steps: impl IntoIterator<Item = Step>) -> History<Operation, Answer> {
    let recorder = Recorder::default();
    let mut open = std::collections::BTreeMap::new();
    for step in steps {
        match step {
            Invoke(name, operation) => assert!(open.insert(name, recorder.invoke(name as usize, operation)).is_none()),
            Answered(name, answer) => recorder.answer(open.remove(&name).unwrap(), answer),
            Forget(name) => recorder.forget(open.remove(&name).unwrap()),
        }
    }
    recorder.history()
}

fn verdict(steps: impl IntoIterator<Item = Step>) -> Result<(), Box<Violation>> {
    check(&REGISTER, &history(steps))
}

#[test]
fn calls_that_follow_each_other_are_taken_in_their_order() {
    let story = [Invoke('a', write(1, 7)), Answered('a', DONE), Invoke('b', READ), Answered('b', reads(2, 7))];
    assert_eq!(verdict(story), Ok(()));
    let refused = [Invoke('a', write(2, 7)), Answered('a', CONFLICT), Invoke('b', READ), Answered('b', reads(1, 0))];
    assert_eq!(verdict(refused), Ok(()));
    assert_eq!(verdict([]), Ok(()));
}

#[test]
fn calls_that_overlap_are_taken_in_any_order() {
    for seen in [reads(1, 0), reads(2, 7)] {
        let story = [Invoke('a', write(1, 7)), Invoke('b', READ), Answered('b', seen), Answered('a', DONE)];
        assert_eq!(verdict(story), Ok(()));
    }
}

#[test]
fn a_stale_read_is_found() {
    let story = [Invoke('a', write(1, 7)), Answered('a', DONE), Invoke('b', READ), Answered('b', reads(1, 0))];
    let violation = verdict(story).unwrap_err();
    assert_eq!(violation.linearized.len(), 1);
    assert_eq!(violation.candidates.len(), 1);
    let shown = violation.to_string();
    assert!(shown.contains("Write") && shown.contains("[3, 4] client 98: Read -> Value"), "{shown}");
}

#[test]
fn time_that_goes_back_between_two_readers_is_found() {
    // given a write under way that one reader has seen, and then another has not
    let story = [
        Invoke('a', write(1, 7)),
        Invoke('b', READ),
        Answered('b', reads(2, 7)),
        Invoke('c', READ),
        Answered('c', reads(1, 0)),
        Answered('a', DONE),
    ];
    assert!(verdict(story).is_err());
}

#[test]
fn a_lost_update_is_found() {
    let story = [Invoke('a', write(1, 7)), Invoke('b', write(1, 8)), Answered('a', DONE), Answered('b', DONE)];
    assert!(verdict(story).is_err());
}

#[test]
fn a_conflict_without_a_reason_is_found() {
    let story = [Invoke('a', write(1, 7)), Answered('a', CONFLICT)];
    assert!(verdict(story).is_err());
}

#[test]
fn a_value_that_was_never_written_is_found() {
    let story = [Invoke('a', write(1, 7)), Answered('a', DONE), Invoke('b', READ), Answered('b', reads(2, 9))];
    assert!(verdict(story).is_err());
}

#[test]
fn a_write_of_unknown_outcome_may_have_its_effect_late_or_never() {
    let tail = |first: Answer, second: Answer| {
        [Invoke('a', write(1, 7)), Invoke('b', READ), Answered('b', first), Invoke('c', READ), Answered('c', second)]
    };
    assert_eq!(verdict(tail(reads(1, 0), reads(1, 0))), Ok(()), "never");
    assert_eq!(verdict(tail(reads(1, 0), reads(2, 7))), Ok(()), "late");
    assert_eq!(verdict(tail(reads(2, 7), reads(2, 7))), Ok(()), "at once");
    assert!(verdict(tail(reads(2, 7), reads(1, 0))).is_err(), "it can't be undone");
}

#[test]
fn a_write_that_is_answered_may_not_come_late() {
    let story = [
        Invoke('a', write(1, 7)),
        Answered('a', DONE),
        Invoke('b', READ),
        Answered('b', reads(1, 0)),
        Invoke('c', READ),
        Answered('c', reads(2, 7)),
    ];
    assert!(verdict(story).is_err());
}

#[test]
fn what_is_forgotten_had_no_effect() {
    let story = |seen| [Invoke('a', write(1, 7)), Forget('a'), Invoke('b', READ), Answered('b', seen)];
    assert_eq!(verdict(story(reads(1, 0))), Ok(()));
    assert!(verdict(story(reads(2, 7))).is_err());
}

#[test]
fn what_runs_finished_last_and_has_the_higher_id_of_two_at_once() {
    let verdict = |answers: [Option<i64>; 4]| {
        let recorder = Recorder::default();
        let tell = |operation, answer| recorder.answer(recorder.invoke(1, operation), answer);
        let finish = |id, time| WhatRunsOperation::Finish { deployment: deployment_id(id), at: at(time) };
        let read = |runs: Option<i64>| tell(WhatRunsOperation::Read, WhatRunsAnswer::Runs(runs.map(deployment_id)));
        read(answers[0]);
        tell(finish(2, 5), WhatRunsAnswer::Done);
        tell(finish(1, 5), WhatRunsAnswer::Done);
        tell(finish(3, 4), WhatRunsAnswer::Done);
        read(answers[1]);
        tell(WhatRunsOperation::Delete { deployment: deployment_id(2) }, WhatRunsAnswer::Done);
        tell(WhatRunsOperation::Delete { deployment: deployment_id(2) }, WhatRunsAnswer::Absent);
        read(answers[2]);
        tell(WhatRunsOperation::Delete { deployment: deployment_id(1) }, WhatRunsAnswer::Done);
        read(answers[3]);
        check(&WhatRuns, &recorder.history())
    };
    assert_eq!(verdict([None, Some(2), Some(1), Some(3)]), Ok(()));
    for wrong in [
        [Some(2), Some(2), Some(1), Some(3)],
        [None, Some(1), Some(1), Some(3)],
        [None, Some(2), Some(2), Some(3)],
        [None, Some(2), Some(1), None],
    ] {
        assert!(verdict(wrong).is_err(), "{wrong:?}");
    }
}

/// A value that is replaced whatever it was: `Some` replaces it, and the answer to `None` is the value.
struct BlindRegister;

impl Specification for BlindRegister {
    type State = u8;
    type Operation = Option<u8>;
    type Answer = u8;

    fn initial(&self) -> u8 {
        0
    }

    fn apply(&self, state: &u8, operation: &Option<u8>, answer: Option<&u8>) -> Option<u8> {
        let after = operation.unwrap_or(*state);
        answer.is_none_or(|answer| *answer == after).then_some(after)
    }
}

#[test]
fn the_same_calls_in_another_order_lead_to_another_state() {
    for seen in 0..3 {
        let recorder = Recorder::default();
        let (first, second) = (recorder.invoke(1, Some(1)), recorder.invoke(2, Some(2)));
        recorder.answer(first, 1);
        recorder.answer(second, 2);
        recorder.answer(recorder.invoke(3, None), seen);
        assert_eq!(check(&BlindRegister, &recorder.history()).is_ok(), seen != 0, "{seen}");
    }
}

/// Whether any order of any of the calls explains the history: every one is tried.
fn by_brute_force(
    state: &<RevisionRegister<u8> as Specification>::State,
    history: &History<Operation, Answer>,
    made: &mut Vec<usize>,
) -> bool {
    let calls = history.calls();
    let left: Vec<_> = (0..calls.len()).filter(|call| !made.contains(call)).collect();
    if left.iter().all(|call| calls[*call].answered.is_none()) {
        return true;
    }
    left.iter().any(|next| {
        let after_an_answer = left.iter().any(|other| {
            other != next && calls[*other].answered.as_ref().is_some_and(|(at, _)| *at < calls[*next].invoked)
        });
        let answer = calls[*next].answered.as_ref().map(|(_, answer)| answer);
        let Some(after) = REGISTER.apply(state, &calls[*next].operation, answer) else { return false };
        made.push(*next);
        let explained = !after_an_answer && by_brute_force(&after, history, made);
        made.pop();
        explained
    })
}

#[test]
fn it_says_what_trying_every_order_says() {
    let operation = prop_oneof![Just(READ), (1..4_u64, 0..2_u8).prop_map(|(expected, value)| write(expected, value))];
    // Answers that could be: what is wrong then is more often the order.
    let call = (operation, option::weighted(0.8, (1..4_u64, 0..2_u8, any::<bool>())), 0..12_u8, 0..8_u8);
    let (mut explained, mut refused) = (0, 0);
    let counts = std::cell::RefCell::new((&mut explained, &mut refused));
    let run = TestRunner::new(property(4000)).run(&vec(call, 0..=6), |calls| {
        let mut steps = Vec::new();
        for ((operation, answer, begin, length), name) in calls.into_iter().zip('a'..) {
            let reads_it = operation == READ;
            steps.push((begin, Invoke(name, operation)));
            if let Some((revision, value, done)) = answer {
                let answer = match (reads_it, done) {
                    (true, _) => reads(revision, if revision == 1 { 0 } else { value }),
                    (false, true) => DONE,
                    (false, false) => CONFLICT,
                };
                steps.push((begin + length, Answered(name, answer)));
            }
        }
        steps.sort_by_key(|(at, step)| (*at, matches!(step, Answered(..))));
        let history = history(steps.into_iter().map(|(_, step)| step));
        let expected = by_brute_force(&REGISTER.initial(), &history, &mut Vec::new());
        prop_assert_eq!(check(&REGISTER, &history).is_ok(), expected, "{:#?}", history);
        let mut counts = counts.borrow_mut();
        *(if expected { &mut *counts.0 } else { &mut *counts.1 }) += 1;
        Ok(())
    });
    run.unwrap();
    assert!(explained > 100 && refused > 100, "{explained} explained and {refused} refused say little");
}

fn handles(store: Arc<dyn Store>) -> Vec<Arc<dyn Store>> {
    vec![store.clone(), store]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_in_memory_is_linearizable() {
    let store = Arc::new(MemoryStore::new());
    drive::commits(handles(store.clone()), 8, 125).await;
    drive::what_runs(handles(store.clone()), 8, 125).await;
    // It need not be empty.
    drive::commits(handles(store.clone()), 3, 20).await;
    drive::what_runs(handles(store), 3, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_are_no_violation() {
    drive::commits(handles(OddStore::with(Oddity::LosesAnswers)), 8, 125).await;
}

async fn violation_of(drive: impl Future<Output = ()>) -> String {
    let panicked = AssertUnwindSafe(drive).catch_unwind().await.expect_err("the violation is found");
    *panicked.downcast::<String>().unwrap()
}

#[tokio::test]
async fn stores_that_are_not_linearizable_are_found() {
    let stale = violation_of(drive::commits(handles(OddStore::with(Oddity::ReadsStale)), 4, 30)).await;
    assert!(stale.contains("not linearizable"), "{stale}");
    let lost = violation_of(drive::commits(handles(OddStore::with(Oddity::LosesUpdates)), 4, 30)).await;
    assert!(lost.contains("not linearizable"), "{lost}");
    let deleted = violation_of(drive::what_runs(handles(OddStore::with(Oddity::RunsWhatIsDeleted)), 4, 30)).await;
    assert!(deleted.contains("not linearizable"), "{deleted}");
}
