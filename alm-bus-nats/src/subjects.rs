//! Where on the server everything is.

use std::{collections::HashMap, str::FromStr};

use alm_core::domain::{EventType, LogId};
use async_nats::Subject;

use crate::options::OptionsError;

/// The subjects below one prefix, `alm.v1` by default. Its last token is the version of what is said there.
#[derive(Clone, Debug)]
pub(crate) struct Subjects {
    /// Of all events: `alm.v1.*.*`.
    pub(crate) events: String,
    /// Of heads: `alm.heads.v1`.
    pub(crate) heads: Subject,
    /// Of replays, without the log: `alm.replay.v1`.
    replay: String,
    topics: HashMap<EventType, Subject>,
}

impl Subjects {
    pub(crate) fn event(&self, event_type: EventType) -> Option<Subject> {
        self.topics.get(&event_type).cloned()
    }

    /// Those of events, heads and replays, as patterns.
    pub(crate) fn all(&self) -> [String; 3] {
        [self.events.clone(), self.heads.to_string(), format!("{}.*", self.replay)]
    }

    pub(crate) fn replay(&self, log: LogId) -> String {
        format!("{}.{log}", self.replay)
    }
}

impl FromStr for Subjects {
    type Err = OptionsError;

    fn from_str(prefix: &str) -> Result<Self, OptionsError> {
        let (before, version) = match prefix.rsplit_once('.') {
            Some((before, version)) => (format!("{before}."), version),
            None => (String::new(), prefix),
        };
        // The last rule keeps requests and heads out of the subjects of events.
        if !prefix.split('.').all(is_token) || ["replay", "heads"].contains(&version) {
            let rule = "must consist of a-z, A-Z, 0-9, '-' and '_', in parts with dots between, and not end in replay or heads";
            return Err(OptionsError::new("the prefix of the subjects", rule));
        }
        let topic = |event_type: EventType| Subject::from(format!("{prefix}.{}", event_type.topic()));
        Ok(Self {
            events: format!("{prefix}.*.*"),
            heads: format!("{before}heads.{version}").into(),
            replay: format!("{before}replay.{version}"),
            topics: EventType::ALL.iter().map(|event_type| (*event_type, topic(*event_type))).collect(),
        })
    }
}

/// Whether it can be a part of a subject, or the name of a stream.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Whether each subject that `narrow` stands for is one that `wide` stands for.
pub(crate) fn covers(wide: &str, narrow: &str) -> bool {
    let mut narrow = narrow.split('.');
    for token in wide.split('.') {
        match (token, narrow.next()) {
            (">", Some(_)) => return true,
            (_, None | Some(">")) => return false,
            ("*", Some(_)) => {}
            (token, Some(other)) if token == other => {}
            (_, Some(_)) => return false,
        }
    }
    narrow.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subjects_are_those_of_the_contract() {
        let subjects: Subjects = "alm.v1".parse().unwrap();
        assert_eq!(subjects.event(EventType::VersionCreated).unwrap().as_str(), "alm.v1.versions.created");
        assert_eq!(subjects.events, "alm.v1.*.*");
        assert_eq!(subjects.heads.as_str(), "alm.heads.v1");
        let log = LogId::new(uuid::Uuid::nil());
        assert_eq!(subjects.replay(log), "alm.replay.v1.00000000-0000-0000-0000-000000000000");
    }

    #[test]
    fn events_heads_and_replays_never_meet() {
        for prefix in ["alm.v1", "x", "a.b.c", "heads.v1", "replay.v1", "a.heads.b"] {
            let subjects: Subjects = prefix.parse().unwrap();
            for event_type in EventType::ALL {
                assert!(covers(&subjects.events, subjects.event(*event_type).unwrap().as_str()));
            }
            assert!(!covers(&subjects.events, subjects.heads.as_str()), "{prefix}");
            assert!(!covers(&subjects.events, &subjects.replay(LogId::new(uuid::Uuid::nil()))), "{prefix}");
        }
        for prefix in ["", "a..b", ".a", "a.*", "a.>", "a b", "a.replay", "heads", "ä"] {
            assert!(prefix.parse::<Subjects>().is_err(), "{prefix}");
        }
    }

    #[test]
    fn a_subject_covers_what_it_stands_for() {
        let covering = [("a.*.*", "a.b.c"), ("a.>", "a.*.*"), (">", "a"), ("a.*.*", "a.*.c"), ("a", "a")];
        assert!(covering.iter().all(|(wide, narrow)| covers(wide, narrow)));
        let not =
            [("a.*.*", "a.b"), ("a.*.*", "a.b.c.d"), ("a.*", "a.>"), ("a.b", "a.*"), ("a.>", "a"), ("a.b.>", "a.>")];
        assert!(not.iter().all(|(wide, narrow)| !covers(wide, narrow)));
    }
}
