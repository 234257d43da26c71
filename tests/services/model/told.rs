//! What comes of commands: answers, and what the log must tell.

use serde_json::Value;

use super::command::{Number, Who};

/// What comes of a command: JSON, with the model's numbers for ids, or the code of an error.
pub(super) type Answer = Result<Value, &'static str>;

/// Stands for every resource that never existed.
pub(super) const UNKNOWN: Number = Number::MAX;

/// What the log must tell of one change.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) event_type: String,
    pub(super) about: &'static str,
    pub(super) number: Number,
    pub(super) data: Value,
    pub(super) actor: &'static str,
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
