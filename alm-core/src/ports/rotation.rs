//! Another identity for a log, once its store was restored from a backup.

use crate::{
    changeset::ConsumerName,
    domain::{LogId, Position},
};

/// How a log gets another identity. The stores that can be restored have a function that does it; it is no part of the ports, as
/// nothing works on a store meanwhile.
///
/// A store that was restored from a backup gives positions again which other services remember, to events that they therefore take for
/// known. So its log goes on under a new identity: what stood in the old one is over, and what comes is heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "it has no effect until a store is given it"]
pub struct Rotation {
    /// So many ids are passed over, of apps, versions and deployments each: those that were given since the backup, which others may
    /// know, must not be given again.
    pub skip_ids: u32,
    /// Consumers that there are none of any more: what their checkpoints say of this log is forgotten, so that they do not hold back
    /// where the log begins.
    pub forget: Vec<ConsumerName>,
    /// Whether to undo all of it in the end: to know what would be done, and that it can be.
    pub is_trial: bool,
}

/// What became of a log that got another identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The identity that the log had.
    pub old: LogId,
    /// The one that it has now. After a trial it has it not: the next time it will be another one.
    pub new: LogId,
    /// Where the log begins now, as [`EventLog::oldest`](super::EventLog::oldest) says it.
    pub oldest: Position,
    /// Where it ends, as [`EventLog::head`](super::EventLog::head) says it.
    pub head: Position,
    /// Where the consumers of this log stand, by name, those included that were forgotten.
    pub consumers: Vec<(ConsumerName, Position)>,
}

impl Rotation {
    /// The last event that no consumer needs any more. Who hears of the new log hears what follows; so where there is no relay, which
    /// tells the bus, that is all, unless it is to be forgotten.
    #[must_use]
    pub fn done(&self, consumers: &[(ConsumerName, Position)]) -> Position {
        let relay = ConsumerName::relay();
        let missing = consumers.iter().all(|(name, _)| *name != relay).then_some((relay, Position::START));
        let counted = consumers.iter().chain(&missing).filter(|(name, _)| !self.forget.contains(name));
        counted.map(|(_, position)| *position).min().unwrap_or(Position::START)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_last_consumer_has_handled_is_done() {
        let name = |name| ConsumerName::parse(name).unwrap();
        let at = |consumer, position| (name(consumer), Position::new(position));
        let rotation = Rotation { forget: vec![name("auto-deploy")], ..Rotation::default() };
        assert_eq!(rotation.done(&[]), Position::START);
        assert_eq!(rotation.done(&[at("audit", 7), at("auto-deploy", 2), at("relay", 5)]), Position::new(5));
        assert_eq!(rotation.done(&[at("auto-deploy", 2)]), Position::START);
        // No one was told anything.
        assert_eq!(rotation.done(&[at("audit", 7)]), Position::START);
        let alone = Rotation { forget: vec![name("relay")], ..Rotation::default() };
        assert_eq!(alone.done(&[at("audit", 7)]), Position::new(7));
        assert_eq!(alone.done(&[at("audit", 7), at("relay", 2)]), Position::new(7));
    }
}
