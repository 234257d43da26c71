//! Texts with rules: each is checked (and, where it says so, normalized) when it is parsed, and never again.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::Rejected;

/// A text whose `parse` is the only way in.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the rules above.
            ///
            /// # Errors
            /// The first rule that `text` breaks.
            pub fn parse(text: impl Into<String>) -> Result<Self, Rejected> {
                $check(text.into()).map(Self)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, owned.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Rejected;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

text! {
    /// The name of an app: 1–128 characters, no white space at either end, no control characters. Kept in Unicode
    /// normalization form C with its case, and unique in that form.
    AppName, app_name
}
text! {
    /// The tag of a version: 1–128 visible characters (no white space, no control or invisible formatting characters).
    Tag, tag
}
text! {
    /// What an app is for: at most 4 KiB of UTF-8, without NUL.
    #[derive(Default)]
    Description, description
}
text! {
    /// What changed in a version: at most 32 KiB of UTF-8, without NUL.
    #[derive(Default)]
    Changelog, changelog
}
text! {
    /// Where something is deployed: 1–64 of `a-z 0-9 - _ .`.
    EnvironmentName, environment
}
text! {
    /// The name of an account: 1–64 of `A-Z a-z 0-9 - _ . @ +`, the first a letter or a digit.
    Username, username
}
text! {
    /// The name of an API key: as that of an account.
    ApiKeyName, username
}

impl Username {
    /// The name of the first account.
    pub fn admin() -> Self {
        Self("admin".to_owned())
    }
}

fn app_name(text: String) -> Result<String, Rejected> {
    let text = match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => text,
        IsNormalized::No | IsNormalized::Maybe => text.nfc().collect(),
    };
    length(&text, 128)?;
    if text.chars().any(char::is_control) {
        return Err(Rejected::new("control-character", "must not contain control characters"));
    }
    if text.trim().len() != text.len() {
        return Err(Rejected::new("surrounding-space", "must not begin or end with white space"));
    }
    Ok(text)
}

fn tag(text: String) -> Result<String, Rejected> {
    length(&text, 128)?;
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || is_invisible(c)) {
        return Err(Rejected::new("not-visible", "must consist of visible characters, without white space"));
    }
    Ok(text)
}

fn description(text: String) -> Result<String, Rejected> {
    free_text(text, 4 * 1024)
}

fn changelog(text: String) -> Result<String, Rejected> {
    free_text(text, 32 * 1024)
}

fn environment(text: String) -> Result<String, Rejected> {
    length(&text, 64)?;
    if !text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.')) {
        return Err(Rejected::new("invalid-character", "must consist of a-z, 0-9, '-', '_' and '.'"));
    }
    Ok(text)
}

fn username(text: String) -> Result<String, Rejected> {
    length(&text, 64)?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@' | b'+');
    if !text.bytes().all(allowed) || !text.as_bytes()[0].is_ascii_alphanumeric() {
        return Err(Rejected::new(
            "invalid-character",
            "must consist of letters, digits, '-', '_', '.', '@' and '+', and begin with a letter or a digit",
        ));
    }
    // In the audit log an account must not look like ALM itself, or like someone who has not said who they are.
    if matches!(text.as_str(), "system" | "anonymous") {
        return Err(Rejected::new("reserved-name", "must not be system or anonymous"));
    }
    Ok(text)
}

pub(crate) fn length(text: &str, max: usize) -> Result<(), Rejected> {
    if text.is_empty() {
        return Err(Rejected::new("empty", "must not be empty"));
    }
    // Bytes bound characters from above, so the count is only needed for long texts.
    if text.len() > max && text.chars().count() > max {
        return Err(Rejected::new("too-long", format!("must have at most {max} characters")));
    }
    Ok(())
}

fn free_text(text: String, max_bytes: usize) -> Result<String, Rejected> {
    if text.len() > max_bytes {
        return Err(Rejected::new("too-long", format!("must have at most {max_bytes} bytes in UTF-8")));
    }
    no_nul(&text)?;
    Ok(text)
}

// PostgreSQL's text type cannot hold NUL; what one store refuses, all refuse.
pub(super) fn no_nul(text: &str) -> Result<(), Rejected> {
    if text.contains('\0') {
        return Err(Rejected::new("nul-character", "must not contain the NUL character"));
    }
    Ok(())
}

// The characters that render as nothing or reorder their neighbours: soft hyphen, zero-width and bidirectional
// controls, word joiners, byte order mark, interlinear annotation, tag characters.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// `text` cut to at most `max` characters.
pub(crate) fn clip(text: &str, max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(text[..end].to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_name_is_kept_in_nfc_with_its_case() {
        assert_eq!(AppName::parse("Cafe\u{301}").unwrap().as_str(), "Caf\u{e9}");
    }

    #[test]
    fn length_is_counted_in_characters_after_normalization() {
        assert!(AppName::parse("é".repeat(128)).is_ok());
        assert!(AppName::parse("e\u{301}".repeat(128)).is_ok());
        assert_eq!(AppName::parse("é".repeat(129)).unwrap_err().code, "too-long");
        assert_eq!(AppName::parse("").unwrap_err().code, "empty");
    }

    #[test]
    fn an_app_name_has_no_outer_space_and_no_control_character() {
        for name in [" a", "a ", "\u{3000}a", "a\u{a0}"] {
            assert_eq!(AppName::parse(name).unwrap_err().code, "surrounding-space", "{name:?}");
        }
        for name in ["a\nb", "\0", "a\u{85}b"] {
            assert_eq!(AppName::parse(name).unwrap_err().code, "control-character", "{name:?}");
        }
        assert!(AppName::parse("two words").is_ok());
    }

    #[test]
    fn a_tag_is_visible() {
        for tag in ["v 1", "v1\t", "v1\u{200b}", "\u{202e}1v", ""] {
            assert!(Tag::parse(tag).is_err(), "{tag:?}");
        }
        assert!(Tag::parse("v1.2.0-rc.1+build/é").is_ok());
    }

    #[test]
    fn free_text_is_bounded_in_bytes_and_without_nul() {
        assert!(Description::parse("x".repeat(4096)).is_ok());
        assert_eq!(Description::parse("x".repeat(4097)).unwrap_err().code, "too-long");
        assert!(Changelog::parse("x".repeat(32 * 1024)).is_ok());
        assert_eq!(Changelog::parse("é".repeat(16 * 1024 + 1)).unwrap_err().code, "too-long");
        assert_eq!(Changelog::parse("a\0").unwrap_err().code, "nul-character");
    }

    #[test]
    fn environments_and_usernames_are_plain_ascii() {
        assert!(EnvironmentName::parse("eu-west_1.prod").is_ok());
        assert!(EnvironmentName::parse("Prod").is_err());
        assert!(Username::parse("ada@example.org").is_ok());
        for name in ["..", "-a", "a/b", "ä", "", "system", "anonymous"] {
            assert!(Username::parse(name).is_err(), "{name:?}");
        }
    }
}
