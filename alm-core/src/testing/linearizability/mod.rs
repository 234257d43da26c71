//! Whether what many clients were told at once can be explained by one thing after the other.
//!
//! A history of calls that overlap is *linearizable* (Herlihy and Wing, 1990) when every call can be given a moment between its
//! invocation and its answer so that, made one after the other in that order, the calls are answered as they were.
//!
//! Tasks write down with a [`Recorder`] what they ask and what they are answered, and [`check`] looks for such an order. What
//! the object does is said by a [`Specification`]: [`RevisionRegister`] and [`WhatRuns`] are two of ALM's. A call without an
//! answer (its client crashed, or was told that the outcome is unknown) may have had its effect at any time after the
//! invocation, or never.
//!
//! ```
//! use alm_core::{domain::Revision, testing::linearizability::{Recorder, RegisterAnswer, RegisterOperation, RevisionRegister, check}};
//!
//! let register = RevisionRegister { revision: Revision::FIRST, value: "a" };
//! let read = |revision, value| RegisterAnswer::Value { revision: Revision::new(revision), value };
//!
//! // The second client reads while the first writes: it may see either value.
//! let recorder = Recorder::default();
//! let write = recorder.invoke(1, RegisterOperation::Write { expected: Revision::FIRST, value: "b" });
//! let while_written = recorder.invoke(2, RegisterOperation::Read);
//! recorder.answer(while_written, read(2, "b"));
//! recorder.answer(write, RegisterAnswer::Done);
//! assert!(check(&register, &recorder.history()).is_ok());
//!
//! // But once it was seen it stays.
//! let stale = recorder.invoke(2, RegisterOperation::Read);
//! recorder.answer(stale, read(1, "a"));
//! let violation = check(&register, &recorder.history()).unwrap_err();
//! println!("{violation}");
//! ```

mod checker;
#[cfg(feature = "conformance")]
pub mod drive;
mod history;
mod register;
mod specification;
mod what_runs;

pub use checker::{Violation, check};
pub use history::{Call, History, Invocation, Recorder};
pub use register::{RegisterAnswer, RegisterOperation, RevisionRegister};
pub use specification::Specification;
pub use what_runs::{WhatRuns, WhatRunsAnswer, WhatRunsOperation};
