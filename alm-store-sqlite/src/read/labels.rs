//! Labels to find resources by.

use alm_core::ports::LabelFilter;

/// What a statement needs to find what has all of some labels: the first is sought in an index, the others are looked up.
pub(super) struct Labels<'f> {
    pub(super) key: &'f str,
    pub(super) value: &'f str,
    /// All of them, as a JSON array of pairs.
    pub(super) all: String,
}

impl<'f> Labels<'f> {
    /// `None` when no label is asked for.
    pub(super) fn of(filter: &'f [LabelFilter]) -> Option<Self> {
        let LabelFilter { key, value } = filter.first()?;
        let pairs: serde_json::Value = filter.iter().map(|label| serde_json::json!([label.key, label.value])).collect();
        Some(Self { key, value, all: pairs.to_string() })
    }
}
