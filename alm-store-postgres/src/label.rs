//! Labels as `jsonb`.

use std::collections::BTreeMap;

use alm_core::{domain::Labels, ports::LabelFilter};
use serde_json::Value;

/// As an object of strings.
pub(crate) fn as_json(labels: &Labels) -> String {
    let pairs = labels.iter().map(|(key, value)| (key.to_owned(), Value::from(value)));
    Value::Object(pairs.collect()).to_string()
}

/// What an app or version is looked for by its labels.
pub(crate) enum Wanted {
    /// Whatever it has.
    Anything,
    /// It has all of these labels.
    All(WantedLabels),
    /// What nothing can have.
    Nothing,
}

/// Labels that something has to have.
pub(crate) struct WantedLabels {
    /// One of them, by which it is found.
    pub(crate) first: (String, String),
    /// All of them, as an object.
    pub(crate) all: String,
}

impl Wanted {
    pub(crate) fn by(filters: &[LabelFilter]) -> Self {
        let mut wanted = BTreeMap::new();
        for LabelFilter { key, value } in filters {
            // jsonb refuses NUL, which no label has.
            let impossible = key.contains('\0') || value.contains('\0');
            if impossible || wanted.insert(key.as_str(), value.as_str()).is_some_and(|other| other != value) {
                return Self::Nothing;
            }
        }
        let Some((key, value)) = wanted.first_key_value() else { return Self::Anything };
        let first = ((*key).to_owned(), (*value).to_owned());
        let pairs = wanted.into_iter().map(|(key, value)| (key.to_owned(), Value::from(value)));
        Self::All(WantedLabels { first, all: Value::Object(pairs.collect()).to_string() })
    }
}
