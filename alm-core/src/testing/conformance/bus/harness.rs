//! How the cases get at a bus.

use std::{fmt, sync::Arc, time::Duration};

use crate::ports::EventBus;

/// What a bus can do. Of what it can't, the cases check that it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BusCapability {
    /// It can ask the owner of a log for events again.
    Replay,
    /// Several connections, as of several processes, can work on the same bus.
    Connections,
    /// The harness can interrupt the connections.
    Interruptions,
    /// The harness can put a message on the bus that ALM can't read.
    ForeignMessages,
}

impl BusCapability {
    /// Every capability.
    pub const ALL: [Self; 4] = [Self::Replay, Self::Connections, Self::Interruptions, Self::ForeignMessages];

    /// A name for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Connections => "several connections",
            Self::Interruptions => "interruptions",
            Self::ForeignMessages => "foreign messages",
        }
    }
}

impl fmt::Display for BusCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes buses to test. Cases run at the same time, each in a tokio runtime of its own with every driver enabled.
pub trait BusHarness: Send + Sync {
    /// What [`fresh`](Self::fresh) makes.
    type Subject: BusSubject;

    /// What the buses can do.
    fn capabilities(&self) -> &[BusCapability];

    /// A bus that is empty and used by no one else. It should give up on a delivery that is not acknowledged within a few
    /// seconds: sooner, and what a busy machine is slow to acknowledge comes again; later, and the cases wait long for it.
    fn fresh(&self) -> impl Future<Output = Self::Subject> + Send;

    /// How long the cases wait for what must come before they fail.
    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }
}

/// One bus under test. It is dropped at the end of the case, within its runtime, and should take away then what it made.
pub trait BusSubject: Send + Sync + 'static {
    /// The bus.
    fn bus(&self) -> Arc<dyn EventBus>;

    /// Another connection to the same bus, as another process would have it; `None` without
    /// [`BusCapability::Connections`].
    fn another_connection(&self) -> impl Future<Output = Option<Arc<dyn EventBus>>> + Send {
        async { None }
    }

    /// Returns when the bus has given up on every delivery that is not acknowledged by now, so that it comes again. For a bus with
    /// a timer: wait until that is over.
    fn expire_deliveries(&self) -> impl Future<Output = ()> + Send;

    /// Interrupts every connection; they come back by themselves. Says whether it did: not without
    /// [`BusCapability::Interruptions`].
    fn interrupt(&self) -> impl Future<Output = bool> + Send {
        async { false }
    }

    /// Takes away what was made for it. It is called when the case is over, also when it has failed.
    fn clean_up(self) -> impl Future<Output = ()> + Send
    where
        Self: Sized,
    {
        async {}
    }

    /// Puts a message with this payload on the bus, past the port. Says whether it did: not without
    /// [`BusCapability::ForeignMessages`].
    fn inject(&self, payload: &[u8]) -> impl Future<Output = bool> + Send {
        let _ = payload;
        async { false }
    }
}
