//! What a subscription has given and was not acknowledged yet.

use std::collections::{BTreeMap, HashMap};

use alm_core::{domain::LogId, ports::DeliveryTag};
use async_nats::Subject;

/// A delivery: a message of a stream, and the subject that it is acknowledged on.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    /// The stream. A later one of the same name must not get the acknowledgement.
    pub(crate) log: LogId,
    pub(crate) sequence: u64,
    pub(crate) reply: Subject,
}

/// All of one subscription, by tag. A message that comes again to the same subscription has its tag again, so what is never
/// acknowledged does not grow.
#[derive(Debug, Default)]
pub(crate) struct Unacknowledged {
    given: BTreeMap<DeliveryTag, Given>,
    tags: HashMap<(LogId, u64), DeliveryTag>,
    last: u64,
}

impl Unacknowledged {
    pub(crate) fn give(&mut self, delivery: Given) -> DeliveryTag {
        let message = (delivery.log, delivery.sequence);
        let tag = *self.tags.entry(message).or_insert_with(|| {
            self.last += 1;
            DeliveryTag::new(self.last)
        });
        self.given.insert(tag, delivery);
        tag
    }

    /// The delivery, unless it is done; `Err`: there never was one.
    pub(crate) fn get(&self, tag: DeliveryTag) -> Result<Option<&Given>, String> {
        match self.given.get(&tag) {
            None if tag.get() == 0 || tag.get() > self.last => {
                Err(format!("this subscription has not given the delivery {}", tag.get()))
            }
            given => Ok(given),
        }
    }

    pub(crate) fn done(&mut self, tag: DeliveryTag) {
        if let Some(given) = self.given.remove(&tag) {
            self.tags.remove(&(given.log, given.sequence));
        }
    }

    /// The subjects of all that are of this stream.
    pub(crate) fn replies(&self, log: LogId) -> Vec<Subject> {
        self.given.values().filter(|given| given.log == log).map(|given| given.reply.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(log: u128, sequence: u64, reply: &'static str) -> Given {
        Given { log: LogId::new(uuid::Uuid::from_u128(log)), sequence, reply: Subject::from_static(reply) }
    }

    #[test]
    fn what_comes_again_has_its_tag_again_until_it_is_done() {
        let mut all = Unacknowledged::default();
        let first = all.give(given(1, 7, "a"));
        assert_ne!(all.give(given(1, 8, "b")), first);
        assert_ne!(all.give(given(2, 7, "c")), first, "another stream");
        assert_eq!(all.give(given(1, 7, "d")), first);
        assert_eq!(all.get(first).unwrap().unwrap().reply.as_str(), "d");
        assert_eq!(all.replies(given(1, 0, "").log).len(), 2);

        all.done(first);
        assert!(all.get(first).unwrap().is_none(), "it is done, and may be said to be again");
        assert_ne!(all.give(given(1, 7, "e")), first);
        assert!(all.get(DeliveryTag::new(99)).is_err());
        assert!(all.get(DeliveryTag::new(0)).is_err());
    }
}
