//! The trace that a change belongs to.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Rejected;

/// A W3C Trace Context `traceparent` of version 00 (<https://www.w3.org/TR/trace-context/#traceparent-header>).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceParent(String);

impl TraceParent {
    /// Checks the form: version, trace id, parent id, flags, in lower-case hex, ids not all zero. What a later version says becomes what
    /// version 00 says of it, as the specification asks (section 3.2.4): whatever stands behind the flags is left out, and of these
    /// counts whether the trace is sampled.
    ///
    /// # Errors
    /// `text` is not of that form.
    pub fn parse(text: impl Into<String>) -> Result<Self, Rejected> {
        let text = text.into();
        let hex =
            |part: &str, len: usize| part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let set = |part: &str| part.bytes().any(|b| b != b'0');
        let is_formed = |trace: &str, parent: &str, flags: &str| {
            hex(trace, 32) && set(trace) && hex(parent, 16) && set(parent) && hex(flags, 2)
        };
        let parts: Vec<&str> = text.splitn(5, '-').collect();
        match parts.as_slice() {
            ["00", trace, parent, flags] if is_formed(trace, parent, flags) => Ok(Self(text)),
            [version, trace, parent, flags, ..]
                if hex(version, 2) && !["00", "ff"].contains(version) && is_formed(trace, parent, flags) =>
            {
                Ok(Self(format!("00-{trace}-{parent}-{}", known(flags))))
            }
            _ => Err(Rejected::new("not-a-traceparent", "must be a W3C traceparent")),
        }
    }

    /// A trace that begins here, sampled; its id and that of its first span are random as far as these UUIDs are.
    pub fn root(trace: Uuid, span: Uuid) -> Self {
        Self(format!("00-{}-{}-01", trace.simple(), span_id(span)))
    }

    /// The same trace, from another span on. Of the flags it keeps whether it is sampled: the others are reserved (section 3.2.2.5).
    #[must_use]
    pub fn with_span(&self, span: Uuid) -> Self {
        Self(format!("{}{}-{}", &self.0[..36], span_id(span), self.flags()))
    }

    /// The header's value.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the whole trace, 32 hex digits.
    pub fn trace_id(&self) -> &str {
        &self.0[3..35]
    }

    /// What its flags say that has a meaning in version 00, as two hex digits: `01`, who began the trace may keep it; `00`, he does not.
    pub fn flags(&self) -> &'static str {
        known(&self.0[53..])
    }

    /// The id of the span that it was sent from, 16 hex digits.
    pub fn span_id(&self) -> &str {
        &self.0[36..52]
    }
}

/// Of flags, in hex, the one that version 00 knows: sampled.
fn known(flags: &str) -> &'static str {
    if u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1) { "01" } else { "00" }
}

/// The last half of a UUID: in one of version 7 it is random but for two bits, and so never zero.
fn span_id(uuid: Uuid) -> String {
    format!("{:016x}", uuid.as_u64_pair().1)
}

impl TryFrom<String> for TraceParent {
    type Error = Rejected;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(text)
    }
}

impl From<TraceParent> for String {
    fn from(trace: TraceParent) -> String {
        trace.0
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_here_is_of_the_w3c_form() {
        let uuid = Uuid::parse_str("0190163d-8694-739b-aea5-966c26f8ad90").unwrap();
        let root = TraceParent::root(uuid, uuid);
        assert_eq!(root.as_str(), "00-0190163d8694739baea5966c26f8ad90-aea5966c26f8ad90-01");
        let given = TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00").unwrap();
        let next = given.with_span(uuid);
        assert_eq!(next.as_str(), "00-4bf92f3577b34da6a3ce929d0e0e4736-aea5966c26f8ad90-00");
        let flags = |flags: &str| {
            let given = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
            TraceParent::parse(given).unwrap().with_span(uuid).as_str()[53..].to_owned()
        };
        assert_eq!((&*flags("ff"), &*flags("fe"), &*flags("01")), ("01", "00", "01"));
        assert_eq!(
            TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02").unwrap().flags(),
            "00"
        );
        assert_eq!((given.span_id(), next.span_id()), ("00f067aa0ba902b7", "aea5966c26f8ad90"));
        for made in [root, next] {
            assert_eq!(TraceParent::parse(made.as_str()), Ok(made));
        }
    }

    #[test]
    fn what_a_later_version_says_is_said_in_version_00() {
        for (later, flags) in [("01", "01"), ("cc", "00"), ("fe", "03"), ("01", "02")] {
            for rest in ["", "-", "-what-the-future-will-be-like"] {
                let given = format!("{later}-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}{rest}");
                let sampled = if matches!(flags, "01" | "03") { "01" } else { "00" };
                let expected = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{sampled}");
                assert_eq!(TraceParent::parse(given.as_str()).map(String::from), Ok(expected), "{given}");
            }
        }
    }

    #[test]
    fn only_the_w3c_form_is_taken() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(TraceParent::parse(good).unwrap().trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        for bad in [
            "",
            "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "01-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert!(TraceParent::parse(bad).is_err(), "{bad:?}");
        }
    }
}
