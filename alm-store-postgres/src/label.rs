//! Labels as `jsonb`.

use std::collections::BTreeMap;

use alm_core::{domain::Labels, ports::LabelFilter};
use serde_json::Value;

/// As an object of strings.
pub(crate) fn as_json(labels: &Labels) -> String {
    let pairs = labels.iter().map(|(key, value)| (key.to_owned(), Value::from(value)));
    Value::Object(pairs.collect()).to_string()
}

/// The condition before the labels that are [wanted](Wanted::All). Only what has labels is in the index of them, and its condition
/// must be in the statement for it to be used.
pub(crate) const AMONG_LABELED: &str = " AND labels <> '{}' AND labels @> ";

/// What an app or version is looked for by its labels.
pub(crate) enum Wanted {
    /// Whatever it has.
    Anything,
    /// It has all of this object.
    All(String),
    /// What nothing can have.
    Nothing,
}

impl Wanted {
    pub(crate) fn by(filters: &[LabelFilter]) -> Self {
        if filters.is_empty() {
            return Self::Anything;
        }
        let mut wanted = BTreeMap::new();
        for LabelFilter { key, value } in filters {
            // jsonb refuses NUL, which no label has.
            let impossible = key.contains('\0') || value.contains('\0');
            if impossible || wanted.insert(key.as_str(), value.as_str()).is_some_and(|other| other != value) {
                return Self::Nothing;
            }
        }
        let pairs = wanted.into_iter().map(|(key, value)| (key.to_owned(), Value::from(value)));
        Self::All(Value::Object(pairs.collect()).to_string())
    }
}
