//! What becomes of a call.

use crate::ports::BackendErrorKind;

use super::Gate;

/// What becomes of a call. Where a fault has no meaning, say a commit that is to be [`Reordered`](Self::Reordered), the call is
/// made as it is.
///
/// The outcome that errors tell is [`NotApplied`](crate::ports::Outcome::NotApplied) for calls that
/// [change](super::Operation::changes) nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// None: the call is made.
    #[default]
    None,
    /// An error, and nothing happened: its outcome is [`NotApplied`](crate::ports::Outcome::NotApplied). A pool without a free
    /// connection does this, and a server that is read-only.
    Refused(BackendErrorKind),
    /// An error whose outcome is [`Unknown`](crate::ports::Outcome::Unknown), and nothing happened. So it is when a connection
    /// breaks on the way there, or a transaction is rolled back by a crash.
    RequestLost(BackendErrorKind),
    /// An error whose outcome is [`Unknown`](crate::ports::Outcome::Unknown), although the call was made, whatever came of it.
    /// So it is when a connection breaks on the way back. The deliveries of a subscription's `next` come with the one after.
    AnswerLost(BackendErrorKind),
    /// The call is made, but so many turns are given to others before it and again after it. In each the caller may be
    /// dropped, as by a deadline. A network does this.
    Delay(u32),
    /// The call waits until the gate is open, then it is made. So does a call that waits for a lock.
    Hold(Gate),
    /// A panic, and nothing happened: a bug in an adapter.
    Panic,
    /// A bus that says yes and does not do it. What is published is not stored, as by a server that crashes before it has
    /// written; what is delivered never arrives and comes when it is delivered again; what is acknowledged comes again.
    Dropped,
    /// It happens twice: what is published is published again, as by a client that tries again; what is delivered is delivered
    /// twice, as when an acknowledgement came too late.
    Duplicated,
    /// The events of this publication, or the deliveries that came together, are in reverse order. A bus of many partitions
    /// does this.
    Reordered,
}
