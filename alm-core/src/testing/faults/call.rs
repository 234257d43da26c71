//! What a plan is asked about.

use std::{fmt, sync::Arc};

use crate::{changeset::Changeset, domain::Event};

/// Declares the operations once: name, method of the port.
macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $method:literal;)+) => {
        /// The methods of the ports that can fail.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Operation {
            $($(#[$doc])* $name,)+
        }

        impl Operation {
            /// Every operation.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The name of the method.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $method,)+
                }
            }
        }
    };
}

operations! {
    /// [`Reader::app`](crate::ports::Reader::app).
    App = "app";
    /// [`Reader::apps`](crate::ports::Reader::apps).
    Apps = "apps";
    /// [`Reader::version`](crate::ports::Reader::version).
    Version = "version";
    /// [`Reader::versions`](crate::ports::Reader::versions).
    Versions = "versions";
    /// [`Reader::deployment`](crate::ports::Reader::deployment).
    Deployment = "deployment";
    /// [`Reader::deployments`](crate::ports::Reader::deployments).
    Deployments = "deployments";
    /// [`Reader::running`](crate::ports::Reader::running).
    Running = "running";
    /// [`Reader::audit_entry`](crate::ports::Reader::audit_entry).
    AuditEntry = "audit_entry";
    /// [`Reader::audit_entries`](crate::ports::Reader::audit_entries).
    AuditEntries = "audit_entries";
    /// [`Reader::user`](crate::ports::Reader::user).
    User = "user";
    /// [`Reader::users`](crate::ports::Reader::users).
    Users = "users";
    /// [`Reader::credential`](crate::ports::Reader::credential).
    Credential = "credential";
    /// [`Reader::credentials`](crate::ports::Reader::credentials).
    Credentials = "credentials";
    /// [`Reader::is_revoked`](crate::ports::Reader::is_revoked).
    IsRevoked = "is_revoked";
    /// [`Reader::remembered`](crate::ports::Reader::remembered).
    Remembered = "remembered";
    /// [`Reader::checkpoint`](crate::ports::Reader::checkpoint).
    Checkpoint = "checkpoint";
    /// [`Reader::dead_letters`](crate::ports::Reader::dead_letters).
    DeadLetters = "dead_letters";
    /// [`Reader::known`](crate::ports::Reader::known).
    Known = "known";
    /// [`Reader::receipt`](crate::ports::Reader::receipt).
    Receipt = "receipt";
    /// [`Committer::commit`](crate::ports::Committer::commit).
    Commit = "commit";
    /// [`Committer::allocate`](crate::ports::Committer::allocate).
    Allocate = "allocate";
    /// [`Committer::admit`](crate::ports::Committer::admit).
    Admit = "admit";
    /// [`Committer::trim`](crate::ports::Committer::trim).
    Trim = "trim";
    /// [`Committer::forget_answers`](crate::ports::Committer::forget_answers).
    ForgetAnswers = "forget_answers";
    /// [`Roles::lead`](crate::ports::Roles::lead).
    Lead = "lead";
    /// [`EventLog::read`](crate::ports::EventLog::read).
    Read = "read";
    /// [`EventLog::oldest`](crate::ports::EventLog::oldest).
    Oldest = "oldest";
    /// [`EventLog::head`](crate::ports::EventLog::head).
    Head = "head";
    /// [`EventLog::changed`](crate::ports::EventLog::changed).
    Changed = "changed";
    /// [`EventBus::publish`](crate::ports::EventBus::publish).
    Publish = "publish";
    /// [`EventBus::subscribe`](crate::ports::EventBus::subscribe).
    Subscribe = "subscribe";
    /// [`EventBus::replay`](crate::ports::EventBus::replay).
    Replay = "replay";
    /// [`EventBus::serve_replays`](crate::ports::EventBus::serve_replays).
    ServeReplays = "serve_replays";
    /// [`EventBus::announce`](crate::ports::EventBus::announce).
    Announce = "announce";
    /// [`EventBus::heads`](crate::ports::EventBus::heads).
    Heads = "heads";
    /// [`Subscription::next`](crate::ports::Subscription::next).
    Next = "next";
    /// [`Subscription::ack`](crate::ports::Subscription::ack).
    Ack = "ack";
    /// [`Heads::next`](crate::ports::Heads::next).
    NextHead = "next_head";
}

impl Operation {
    /// Whether it changes something: a commit, an allocation, a publication, an announcement, an acknowledgement, or that something
    /// old goes.
    pub const fn changes(self) -> bool {
        matches!(
            self,
            Self::Commit
                | Self::Allocate
                | Self::Trim
                | Self::ForgetAnswers
                | Self::Publish
                | Self::Announce
                | Self::Ack
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A call that is about to be made.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Call<'a> {
    /// What is called.
    pub operation: Operation,
    /// What is to be committed, of a commit.
    pub changeset: Option<&'a Changeset>,
    /// What is to be published, of a publication.
    pub events: &'a [Arc<Event>],
    /// Which call it is of those to this store or to this bus and its subscriptions, from 1.
    pub number: u64,
}
