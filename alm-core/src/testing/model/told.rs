//! What comes of commands: answers, and what the log must tell.

use serde_json::Value;

use super::command::{Number, Who};

/// What comes of a command: JSON, with the model's numbers for ids and places in the log, from 0, for times; or the code of an
/// error.
pub type Answer = Result<Value, &'static str>;

/// Stands for every resource that never existed.
pub const UNKNOWN: Number = Number::MAX;

/// What the log must tell of one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The type of the event.
    pub event_type: String,
    /// The sort of the resource: `apps`, `versions` or `deployments`.
    pub about: &'static str,
    /// Which one.
    pub number: Number,
    /// The data of the event, with the model's numbers for ids.
    pub data: Value,
    /// Who has made the change.
    pub actor: &'static str,
}

pub(super) fn actor(who: Who) -> &'static str {
    match who {
        Who::Admin => "ada",
        Who::User => "bob",
        Who::Nobody => "anonymous",
    }
}

pub(super) fn allow_users(who: Who) -> Result<(), &'static str> {
    if who == Who::Nobody { Err("unauthenticated") } else { Ok(()) }
}

pub(super) fn list(items: impl Iterator<Item = Value>) -> Value {
    items.collect()
}

pub(super) fn has(wanted: Option<&str>, actual: Option<&str>) -> bool {
    wanted.is_none() || wanted == actual
}

pub(super) fn next(created: &mut usize) -> Number {
    *created += 1;
    *created - 1
}
