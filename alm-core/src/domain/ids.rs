//! The numbers and UUIDs that name things.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A positive 64-bit number that a store gives and never gives again.
macro_rules! numeric_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "i64", into = "i64")]
        pub struct $name(i64);

        impl $name {
            /// The id with this number, or `None` unless it is positive.
            pub const fn new(number: i64) -> Option<Self> {
                if number > 0 { Some(Self(number)) } else { None }
            }

            /// The number itself, from 1.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = &'static str;

            fn try_from(number: i64) -> Result<Self, Self::Error> {
                Self::new(number).ok_or("an id is a positive integer")
            }
        }

        impl From<$name> for i64 {
            fn from(id: $name) -> i64 {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

numeric_id! {
    /// Names an [`App`](super::App).
    AppId
}
numeric_id! {
    /// Names a [`Version`](super::Version).
    VersionId
}
numeric_id! {
    /// Names a [`Deployment`](super::Deployment).
    DeploymentId
}

/// A count that starts at a fixed number and only grows.
macro_rules! counter {
    ($(#[$doc:meta])* $name:ident, first = $first:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Where the count begins.
            pub const FIRST: Self = Self($first);

            /// The count as given.
            pub const fn new(count: u64) -> Self {
                Self(count)
            }

            /// The number itself.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The one after this.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter! {
    /// How often a resource has been changed, from 1 at its creation. The HTTP `ETag` is this number.
    Revision, first = 1
}
counter! {
    /// A place in a store's event log: gapless, from 1, never changed. [`Position::START`] is before the first event.
    Position, first = 1
}
counter! {
    /// The place of an entry in the audit log: gapless, from 1.
    AuditIndex, first = 1
}

impl Position {
    /// Before the first event: what a consumer that has read nothing stands at.
    pub const START: Self = Self(0);

    /// The last that there can be: a store counts with 64 bits and a sign.
    pub const MAX: Self = Self(i64::MAX.unsigned_abs());

    /// Whether an event can stand there.
    pub const fn is_of_event(self) -> bool {
        Self::FIRST.0 <= self.0 && self.0 <= Self::MAX.0
    }

    /// The one before this: after it, this one is read. Before the first there is only [`Position::START`].
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl Default for Position {
    fn default() -> Self {
        Self::START
    }
}

/// A `UUIDv7` (RFC 9562) that the [`Ids`](crate::ports::Ids) port gives.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The id with this UUID.
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID itself.
            pub const fn get(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id! {
    /// Names an event everywhere: in the log, on the bus, in the audit log.
    EventId
}
uuid_id! {
    /// Names a [`Credential`](super::Credential). It is no secret.
    CredentialId
}
uuid_id! {
    /// Names a [`Changeset`](crate::changeset::Changeset): committing it twice has the effect of once.
    ChangesetId
}
uuid_id! {
    /// Names the event log of one store. A restored or copied store needs a [new one](Self::rotated).
    LogId
}

impl LogId {
    /// What an identity that a log gets has from the one before: the half of a UUID that is random. The other one is the time in version
    /// 7, which logs that begin at the same moment have in common.
    const KEPT: u128 = u64::MAX as u128;

    /// Another identity for the same log, at another time: it has the first half of `uuid`, one of version 7. A service takes events of
    /// its own log under another identity for known, so a copy of a store may not work on the same bus as the original.
    #[must_use]
    pub const fn rotated(self, uuid: Uuid) -> Self {
        Self(Uuid::from_u128(self.0.as_u128() & Self::KEPT | uuid.as_u128() & !Self::KEPT))
    }

    /// Whether both are identities of one log, the same one or of different times.
    #[must_use]
    pub const fn is_of_same_log(self, other: Self) -> bool {
        (self.0.as_u128() ^ other.0.as_u128()) & Self::KEPT == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotated_log_is_the_same_under_another_identity() {
        let log = |id: &str| LogId::new(Uuid::parse_str(id).unwrap());
        let old = log("0190163d-8694-739b-aea5-966c26f8ad90");
        let later = Uuid::parse_str("01a1163d-9694-7a9b-bea5-066c26f8ad90").unwrap();
        let new = old.rotated(later);
        assert_eq!(new, log("01a1163d-9694-7a9b-aea5-966c26f8ad90"));
        assert!(new.is_of_same_log(old) && old.is_of_same_log(new) && old.is_of_same_log(old));
        assert!(new.rotated(Uuid::max()).is_of_same_log(old));
        for other in ["0190163d-8694-739b-aea4-966c26f8ad90", "0190163d-8694-739b-aea5-966c26f8ad91"] {
            assert!(!old.is_of_same_log(log(other)));
        }
    }
}
