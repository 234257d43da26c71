//! How far a consumer has read.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{LogId, Position, Rejected};

/// The name of a consumer, under which its checkpoint is kept: 1–31 of `a-z 0-9 - _`, fit for a durable name on a bus.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConsumerName(String);

impl ConsumerName {
    /// Checks the rules above.
    ///
    /// # Errors
    /// `name` breaks them.
    pub fn parse(name: impl Into<String>) -> Result<Self, Rejected> {
        let name = name.into();
        let allowed = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if name.is_empty() || name.len() > 31 || !name.bytes().all(allowed) {
            return Err(Rejected::new("not-a-consumer-name", "must consist of 1 to 31 of a-z, 0-9, '-' and '_'"));
        }
        Ok(Self(name))
    }

    // For the names of the built-in consumers, which a test parses.
    pub(crate) fn built_in(name: &'static str) -> Self {
        Self(name.to_owned())
    }

    /// The name of the relay, which tells the bus what stands in the log.
    #[must_use]
    pub fn relay() -> Self {
        Self::built_in("relay")
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ConsumerName {
    type Error = Rejected;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::parse(name)
    }
}

impl From<ConsumerName> for String {
    fn from(name: ConsumerName) -> String {
        name.0
    }
}

impl fmt::Display for ConsumerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A consumer moves on in a log: committed together with its effect, so that the effect happens once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Who reads.
    pub consumer: ConsumerName,
    /// What it reads.
    pub log: LogId,
    /// Where it stood; the commit fails unless it still stands there. [`Position::START`] when it has never stood anywhere.
    pub from: Position,
    /// Where it stands from now on; at least `from`.
    pub to: Position,
}
