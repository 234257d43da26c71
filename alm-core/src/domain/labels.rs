//! Free key–value pairs on a resource.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{FieldError, Rejected, text};

const MAX_PAIRS: usize = 64;
const MAX_KEY: usize = 63;
const MAX_VALUE: usize = 256;

/// Up to 64 string pairs: keys of 1–63 characters without `=` and control characters, values of at most 256 characters
/// without NUL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// Checks the rules above.
    ///
    /// # Errors
    /// Every pair that breaks a rule, with a pointer relative to the map (`/team`).
    pub fn parse(pairs: BTreeMap<String, String>) -> Result<Self, Vec<FieldError>> {
        if pairs.len() > MAX_PAIRS {
            // They are not looked at one by one: there may be very many.
            return Err(vec![Rejected::new("too-many", format!("must have at most {MAX_PAIRS} pairs")).at("")]);
        }
        let mut errors = Vec::new();
        for (key, value) in &pairs {
            if let Err(rejected) = check_key(key).and_then(|()| check_value(value)) {
                errors.push(rejected.at(pointer(key)));
            }
        }
        if errors.is_empty() { Ok(Self(pairs)) } else { Err(errors) }
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// All pairs, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pairs, by key.
    pub fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }
}

fn check_key(key: &str) -> Result<(), Rejected> {
    text::length(key, MAX_KEY)?;
    if key.chars().any(|c| c.is_control() || c == '=') {
        return Err(Rejected::new("invalid-character", "a key must not contain '=' or control characters"));
    }
    Ok(())
}

fn check_value(value: &str) -> Result<(), Rejected> {
    if value.len() > MAX_VALUE && value.chars().count() > MAX_VALUE {
        return Err(Rejected::new("too-long", format!("a value must have at most {MAX_VALUE} characters")));
    }
    text::no_nul(value)
}

// RFC 6901, section 3; an over-long key is cut so that an error stays readable.
fn pointer(key: &str) -> String {
    format!("/{}", text::clip(key, MAX_KEY).replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Result<Labels, Vec<FieldError>> {
        Labels::parse(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn every_broken_pair_is_named() {
        let errors = labels(&[("a=b", "x"), ("ok", "y"), ("team/core~1", "\0"), ("", "")]).unwrap_err();
        let pointers: Vec<_> = errors.iter().map(|e| e.pointer.as_str()).collect();
        assert_eq!(pointers, ["/", "/a=b", "/team~1core~01"]);
    }

    #[test]
    fn bounds_are_inclusive() {
        let (key, value) = ("k".repeat(63), "é".repeat(256));
        assert!(labels(&[(&key, &value)]).is_ok());
        assert!(labels(&[(&"k".repeat(64), "")]).is_err());
        assert!(labels(&[("k", &"é".repeat(257))]).is_err());
        let many: BTreeMap<_, _> = (0..65).map(|i| (i.to_string(), String::new())).collect();
        assert!(Labels::parse(many.clone().into_iter().take(64).collect()).is_ok());
        assert!(Labels::parse(many).is_err());
    }
}
