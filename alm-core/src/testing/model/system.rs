//! The real thing, asked for the same and made comparable.

use std::sync::Arc;

use serde_json::Value;
use tokio::runtime::Runtime;

use crate::{
    domain::{ChangesetId, Position, Timestamp},
    ports::{Clock, Store},
    services::{Alm, Error},
    testing::{
        ManualClock,
        inspect::{assert_each_event_is_audited_once, log_with, until},
    },
};

use super::{
    ask::Asker,
    command::{Command, Number},
    reference::Model,
    told::{Answer, Told},
};

/// When every story begins, in microseconds since the epoch.
const START: i64 = 1_795_348_800_000_000;

/// An id that no store gives while a test runs.
const NEVER: i64 = i64::MAX;

/// The services over a store, under a clock that stands unless a command moves it.
///
/// It is told commands one by one, the same as a [`Model`], and says how they differ.
#[derive(Debug)]
pub struct System {
    runtime: Arc<Runtime>,
    alm: Alm,
    clock: Arc<ManualClock>,
    ids: Ids,
    // The furthest that the clock ever was.
    furthest: Timestamp,
    // The changeset and the time of each event.
    times: Vec<(ChangesetId, Timestamp)>,
}

/// The ids of the resources that the model knows by their places here.
#[derive(Debug, Default)]
pub(super) struct Ids {
    pub(super) apps: Vec<i64>,
    pub(super) versions: Vec<i64>,
    pub(super) deployments: Vec<i64>,
}

/// Takes down the id of a new resource, which is higher than those before.
fn note(ids: &mut Vec<i64>, answer: &Value) {
    let id = answer["id"].as_i64().expect("what is created has an id");
    assert!(id > 0 && ids.last().is_none_or(|last| *last < id), "{id} after {ids:?}");
    ids.push(id);
}

impl System {
    /// The services over `store`, which has nothing in it and lives on `runtime`.
    pub fn new(runtime: Arc<Runtime>, store: Arc<dyn Store>) -> Self {
        let clock = ManualClock::at(START);
        let alm = Alm::builder(store).clock(clock.clone()).build();
        Self { runtime, alm, clock, ids: Ids::default(), furthest: Timestamp::MIN, times: Vec::new() }
    }

    /// The services.
    pub fn alm(&self) -> &Alm {
        &self.alm
    }

    /// Does what is asked for and waits until the log has `events` events. The answer is in the model's words.
    ///
    /// # Errors
    /// The code of the error that the service answers.
    ///
    /// # Panics
    /// The log has fewer events after 20 seconds, or their times are not in order or not those of the clock.
    pub fn obey(&mut self, command: &Command, events: usize) -> Answer {
        let answer = self.ask(command, events);
        self.in_words_of_the_model(command, answer, events)
    }

    /// Does what is asked for, after the model has, and compares the answers.
    ///
    /// # Panics
    /// They differ, or [`obey`](Self::obey) panics.
    pub fn assert_does_as(&mut self, model: &Model, command: &Command) {
        let (expected, events) = (model.answer(), model.log().len());
        let answer = self.ask(command, events);
        if answer.is_ok() != expected.is_ok() {
            // Told before anything is waited for that won't come then.
            differ(command, &format!("{answer:?}"), expected);
        }
        let answer = self.in_words_of_the_model(command, answer, events);
        if answer != *expected {
            differ(command, &shown(&answer), expected);
        }
    }

    /// Lets the consumers handle all there is, and compares the event log and the audit log with what the model says.
    ///
    /// # Panics
    /// They differ.
    pub fn assert_ends_as(&mut self, mut model: Model) {
        model.obey(&Command::CatchUp);
        self.assert_does_as(&model, &Command::CatchUp);
        self.assert_log(model.log());
    }

    /// Compares the event log with what it must tell, and the audit log with the event log.
    ///
    /// # Panics
    /// They differ.
    pub fn assert_log(&self, expected: &[Told]) {
        let store = self.alm.store().as_ref();
        let log = self.runtime.block_on(log_with(store, expected.len() as u64));
        let types: Vec<_> = log.iter().map(|event| event.data.type_name()).collect();
        let expected_types: Vec<_> = expected.iter().map(|told| told.event_type.as_str()).collect();
        assert_eq!(types, expected_types, "the types of the events in the log, and in the model's");
        for (event, told) in log.iter().zip(expected) {
            let ids = match told.about {
                "apps" => &self.ids.apps,
                "versions" => &self.ids.versions,
                _ => &self.ids.deployments,
            };
            assert_eq!(event.subject.to_string(), format!("{}/{}", told.about, id_of(ids, told.number)));
            assert_eq!(self.in_numbers(ids, event.data.to_json()), told.data, "the data of {event:?}");
            assert_eq!(event.actor.as_str(), told.actor, "the actor of {event:?}");
        }
        self.runtime.block_on(assert_each_event_is_audited_once(store));
    }

    fn ask(&self, command: &Command, events: usize) -> Result<Value, Error> {
        let Self { alm, clock, ids, .. } = self;
        self.runtime.block_on(Asker { alm, clock, ids, events: events as u64 }.ask(command))
    }

    fn in_words_of_the_model(&mut self, command: &Command, answer: Result<Value, Error>, events: usize) -> Answer {
        self.note_times(events);
        let value = answer.map_err(|error| error.code())?;
        match command {
            Command::CreateApp { .. } => note(&mut self.ids.apps, &value),
            Command::CreateVersion { .. } => note(&mut self.ids.versions, &value),
            Command::CreateDeployment { .. } => note(&mut self.ids.deployments, &value),
            _ => {}
        }
        Ok(self.in_numbers(self.ids_in_answer(command), value))
    }

    /// Takes down the times of new events. Time goes on from one commit to the next even if the clock stands or is set back,
    /// and follows the clock when that is ahead.
    fn note_times(&mut self, events: usize) {
        let now = self.clock.now();
        self.furthest = self.furthest.max(now);
        let (store, known) = (self.alm.store(), Position::new(self.times.len() as u64));
        let new = self.runtime.block_on(async {
            let has_them = async || store.head().await.expect("the head of the log is read").get() >= events as u64;
            until(&format!("the log has {events} events"), has_them).await;
            store.read(known, usize::MAX).await.expect("the log is read")
        });
        for event in new {
            match self.times.last() {
                Some((changeset, last)) if *changeset == event.changeset => assert_eq!(*last, event.time),
                last => {
                    assert!(last.is_none_or(|(_, last)| *last < event.time), "{event:?} is not later than the last");
                    assert!(
                        now <= event.time && event.time < self.furthest.plus_seconds(1),
                        "{event:?} is not of its time"
                    );
                }
            }
            self.times.push((event.changeset, event.time));
        }
    }

    /// Which ids stand in the member `id` of an answer.
    fn ids_in_answer(&self, command: &Command) -> &[i64] {
        match command {
            Command::CreateVersion { .. }
            | Command::GetVersion { .. }
            | Command::UpdateVersion { .. }
            | Command::ListVersions { .. } => &self.ids.versions,
            Command::CreateDeployment { .. }
            | Command::GetDeployment { .. }
            | Command::SetStatus { .. }
            | Command::ListDeployments { .. } => &self.ids.deployments,
            _ => &self.ids.apps,
        }
    }

    /// The place in the log of the event that was told at that time. A time at which nothing happened stays, to be seen.
    fn place_of(&self, time: Value) -> Value {
        let place = self.times.iter().position(|(_, known)| Some(known.to_string().as_str()) == time.as_str());
        place.map_or(time, Value::from)
    }

    /// `value` with the model's numbers for ids and places in the log for times; `own` are those that stand in the member `id`.
    fn in_numbers(&self, own: &[i64], value: Value) -> Value {
        match value {
            Value::Array(values) => values.into_iter().map(|value| self.in_numbers(own, value)).collect(),
            Value::Object(members) => {
                let translated = members.into_iter().map(|(name, value)| {
                    let value = match name.as_str() {
                        "id" => number_of(own, &value),
                        "app_id" => number_of(&self.ids.apps, &value),
                        "version_id" => number_of(&self.ids.versions, &value),
                        "deployment_id" => number_of(&self.ids.deployments, &value),
                        "created_at" | "updated_at" | "finished_at" | "since" => self.place_of(value),
                        "version" => self.in_numbers(&self.ids.versions, value),
                        "deployment" => self.in_numbers(&self.ids.deployments, value),
                        _ => value,
                    };
                    (name, value)
                });
                Value::Object(translated.collect())
            }
            other => other,
        }
    }
}

fn differ(command: &Command, answer: &str, expected: &Answer) -> ! {
    let expected = shown(expected);
    panic!("{command:?}\n   is answered: {answer}\nby the model: {expected}")
}

fn shown(answer: &Answer) -> String {
    answer.as_ref().map_or_else(|code| format!("the error {code}"), ToString::to_string)
}

pub(super) fn id_of(ids: &[i64], number: Number) -> i64 {
    ids.get(number).copied().unwrap_or(NEVER)
}

/// The number of a resource. An id that no one was given stays, as a text, to be seen.
fn number_of(ids: &[i64], id: &Value) -> Value {
    let place = ids.iter().position(|known| Some(*known) == id.as_i64());
    place.map_or_else(|| format!("id {id}, which no one has created").into(), Value::from)
}
