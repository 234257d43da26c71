//! What came from another service and can't be read here.

use serde_json::Value;

/// An event, as far as it says what it is, that this version of ALM can't read: of a type that came later, or broken. Its texts are
/// kept as they came, so that the audit log can record it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// What it says its type is.
    pub event_type: String,
    /// What it says it comes from: for ALM's own services `/alm/` and their name.
    pub source: String,
    /// What it says it is about.
    pub subject: String,
    /// What it tells.
    pub data: Value,
    /// Why it can't be read.
    pub reason: String,
}

impl Unread {
    /// The name of the service that it comes from.
    pub fn source_service(&self) -> &str {
        self.source.strip_prefix("/alm/").unwrap_or(&self.source)
    }
}
