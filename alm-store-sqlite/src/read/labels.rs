//! Labels to find resources by.

use alm_core::ports::LabelFilter;

/// What a statement needs to find what has all of some labels: the first is sought in an index, the others are looked up.
pub(super) struct Sought<'f> {
    pub(super) key: &'f str,
    pub(super) value: &'f str,
    /// All of them, as a JSON array of pairs.
    pub(super) all: String,
}

pub(super) enum Labels<'f> {
    /// No label is asked for.
    Any,
    /// Nothing has them.
    Impossible,
    All(Sought<'f>),
}

impl<'f> Labels<'f> {
    pub(super) fn of(filter: &'f [LabelFilter]) -> Self {
        let Some(first) = filter.first() else { return Self::Any };
        // No label has a NUL, and in JSON it would end the text for SQLite, which then would find another label.
        if filter.iter().any(|label| label.key.contains('\0') || label.value.contains('\0')) {
            return Self::Impossible;
        }
        let pairs: serde_json::Value = filter.iter().map(|label| serde_json::json!([label.key, label.value])).collect();
        Self::All(Sought { key: &first.key, value: &first.value, all: pairs.to_string() })
    }
}
