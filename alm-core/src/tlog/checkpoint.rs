//! What a log says of itself: how large it is, and its root.

use std::{fmt, str::FromStr};

use super::{Hash, NoteError, Verifier, open, path::decimal};

/// The size and the root of a log at one moment: the text of a signed note (<https://c2sp.org/tlog-checkpoint>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// The largest size that is written or read, 2⁶³ − 1: what a store that counts by `i64` can hold.
    pub const MAX_SIZE: u64 = i64::MAX as u64;

    /// The checkpoint of a log with `size` leaves and this root. The origin names the log, by convention as its key and as its
    /// URL without `https://`, such as `example.org/audit`.
    ///
    /// # Errors
    /// The origin is no line, or the size is above [`Checkpoint::MAX_SIZE`].
    pub fn new(origin: impl Into<String>, size: u64, root: Hash) -> Result<Self, CheckpointError> {
        let origin = origin.into();
        if !is_line(&origin) {
            return Err(CheckpointError::Origin);
        }
        if size > Self::MAX_SIZE {
            return Err(CheckpointError::Size);
        }
        Ok(Self { origin, size, root, extensions: Vec::new() })
    }

    /// The checkpoint that a signed note tells, if one of these keys has [signed](open) it, and it is of a log that one of them is named
    /// after.
    ///
    /// # Errors
    /// The note is not to be trusted, or tells no checkpoint, or that of another log.
    pub fn open(note: &str, known: &[Verifier]) -> Result<Self, CheckpointError> {
        let checkpoint: Self = open(note, known)?.parse()?;
        let is_known = known.iter().any(|key| key.name() == checkpoint.origin);
        if is_known { Ok(checkpoint) } else { Err(CheckpointError::AnotherLog) }
    }

    /// The same with another line at the end. The specification advises against them: monitors can't check them.
    ///
    /// # Errors
    /// `extension` is no line.
    pub fn with_extension(mut self, extension: impl Into<String>) -> Result<Self, CheckpointError> {
        let extension = extension.into();
        if !is_line(&extension) {
            return Err(CheckpointError::Extension);
        }
        self.extensions.push(extension);
        Ok(self)
    }

    /// The name of the log. Whoever reads a checkpoint other than by [`Checkpoint::open`] must compare it with the log that they asked.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many leaves the log has.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root of its tree.
    pub const fn root(&self) -> Hash {
        self.root
    }

    /// Lines whose meaning is not specified.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }
}

/// Something is not a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// It is not lines that each end with a newline, or too few of them.
    #[error("a checkpoint is at least three lines, each with a newline at its end")]
    Lines,
    /// The origin is empty, or contains a control character.
    #[error("the origin must not be empty nor contain control characters")]
    Origin,
    /// The size is not a number without leading zeros, or is too large.
    #[error("the size must be a decimal number without leading zeros, at most 2^63 - 1")]
    Size,
    /// The root is not 32 bytes in base64.
    #[error("the root must be 32 bytes in standard base64 with padding")]
    Root,
    /// A line after the root is empty, or contains a control character.
    #[error("an extension must not be empty nor contain control characters")]
    Extension,
    /// The note that should tell it is not to be trusted.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The note is signed by a known key, and tells a checkpoint of a log that none of them is named after.
    #[error("it is the checkpoint of another log")]
    AnotherLog,
}

/// Whether it can stand as a line in a note.
fn is_line(text: &str) -> bool {
    !text.is_empty() && !text.bytes().any(|byte| byte < b' ')
}

/// The text that is signed, with a newline after each line.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root)?;
        self.extensions.iter().try_for_each(|extension| writeln!(f, "{extension}"))
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    /// Reads what `Display` writes, and nothing else.
    ///
    /// # Errors
    /// A line is missing or not as it must be.
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?.split('\n');
        let mut line = || lines.next().ok_or(CheckpointError::Lines);
        let (origin, size, root) = (line()?, line()?, line()?);
        let size = decimal(size).ok_or(CheckpointError::Size)?;
        let checkpoint = Self::new(origin, size, root.parse().map_err(|_| CheckpointError::Root)?)?;
        lines.try_fold(checkpoint, Self::with_extension)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::EMPTY_ROOT;
    use super::*;

    // The text of the specification's example.
    const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    #[test]
    fn the_example_of_the_specification_is_read() {
        let checkpoint: Checkpoint = EXAMPLE.parse().unwrap();
        assert_eq!((checkpoint.origin(), checkpoint.size()), ("example.com/behind-the-sofa", 20_852_163));
        assert_eq!(checkpoint.root().to_string(), "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=");
        assert_eq!(checkpoint.extensions(), [""; 0]);
        assert_eq!(checkpoint.to_string(), EXAMPLE);
    }

    #[test]
    fn extensions_are_lines() {
        let text = format!("{EXAMPLE}one\n two \n");
        let checkpoint: Checkpoint = text.parse().unwrap();
        assert_eq!(checkpoint.extensions(), ["one", " two "]);
        assert_eq!(checkpoint.to_string(), text);
        for line in ["", "a\nb", "a\r", "\t"] {
            assert_eq!(checkpoint.clone().with_extension(line), Err(CheckpointError::Extension), "{line:?}");
        }
    }

    #[test]
    fn an_empty_log_has_a_checkpoint_and_the_largest_too() {
        assert_eq!(Checkpoint::new("a", 0, EMPTY_ROOT).unwrap().to_string(), format!("a\n0\n{EMPTY_ROOT}\n"));
        let largest = Checkpoint::new("a", Checkpoint::MAX_SIZE, EMPTY_ROOT).unwrap();
        assert_eq!(largest.to_string().parse(), Ok(largest));
        assert_eq!(Checkpoint::new("a", Checkpoint::MAX_SIZE + 1, EMPTY_ROOT), Err(CheckpointError::Size));
    }

    #[test]
    fn no_other_form_of_a_checkpoint_is_read() {
        let refused = |text: &str| text.parse::<Checkpoint>().unwrap_err();
        for text in ["", "\n", "a\n0\n", EXAMPLE.trim_end()] {
            assert_eq!(refused(text), CheckpointError::Lines, "{text:?}");
        }
        assert_eq!(refused(&format!("\n{EXAMPLE}")), CheckpointError::Size);
        assert_eq!(refused(&format!("\n0\n{EMPTY_ROOT}\n")), CheckpointError::Origin);
        assert_eq!(refused(&EXAMPLE.replace("example.com", "example\tcom")), CheckpointError::Origin);
        for size in
            ["", "00", "01", "+1", "-0", " 1", "1 ", "0x1", "1_0", "１", "9223372036854775808", "18446744073709551616"]
        {
            assert_eq!(refused(&EXAMPLE.replace("20852163", size)), CheckpointError::Size, "{size:?}");
        }
        for root in
            ["", "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I", "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=", "AAAA"]
        {
            let text = format!("a\n0\n{root}\n");
            assert_eq!(refused(&text), CheckpointError::Root, "{text:?}");
        }
        assert_eq!(refused(&format!("{EXAMPLE}\n")), CheckpointError::Extension);
        assert_eq!(refused(&format!("{EXAMPLE}a\n\nb\n")), CheckpointError::Extension);
        assert_eq!(refused(&EXAMPLE.replace('\n', "\r\n")), CheckpointError::Size);
    }

    proptest! {
        #[test]
        fn writing_and_reading_gives_the_same(
            origin in "[ -~ä]{1,20}", size in 0..=Checkpoint::MAX_SIZE, root: [u8; 32], lines in prop::collection::vec("[ -~ä]{1,9}", 0..4),
        ) {
            let mut checkpoint = Checkpoint::new(origin, size, Hash::new(root)).unwrap();
            for line in lines {
                checkpoint = checkpoint.with_extension(line).unwrap();
            }
            prop_assert_eq!(checkpoint.to_string().parse(), Ok(checkpoint));
        }

        #[test]
        fn what_is_read_is_written_the_same(text in r"(.{0,3}\n)?[0-9]{0,3}\n([A-Za-z0-9+/]{43}=)?\n(.{0,3}\n){0,3}") {
            if let Ok(checkpoint) = text.parse::<Checkpoint>() {
                prop_assert_eq!(checkpoint.to_string(), text);
            }
        }
    }
}
