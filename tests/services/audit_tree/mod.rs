//! The tree over the audit log: it grows behind the log, proves what it says, and finds what was changed.

mod given;
mod growing;
mod proving;
mod tampering;
