//! What clients have asked of a server and been told, and whether what they find in the end agrees with it.
//!
//! A client writes to the [`Journal`] before it sends a request and when it has the answer; both are on the disk before it goes
//! on. After the last fault is over, everything there is to see is [`Seen`], and [`check`] says what does not go together.
//!
//! Each request that changes something asks for an [effect](Ask::effect) that no other asks for, unless it is the same request
//! sent again. So of everything that is found it can be said who asked for it.

mod ask;
mod check;
mod file;
mod refused;
mod seen;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use ask::{Ask, Effect};
pub use check::{Kind, Violation, check};
pub use file::Journal;
pub use refused::{Part, refused};
pub use seen::{Fact, Injected, Seen};

/// A line of the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A request is about to be sent.
    Asked {
        /// Its number in the journal.
        request: u64,
        /// What it asks for.
        ask: Ask,
        /// Its `Idempotency-Key`. Requests with the same one are the same request sent again.
        key: Option<String>,
    },
    /// A request has been answered. One without such a line was not.
    Told {
        /// Which.
        request: u64,
        /// The status of the answer.
        status: u16,
        /// The body of the answer.
        body: Value,
    },
}
