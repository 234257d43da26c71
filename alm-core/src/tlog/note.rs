//! Texts with signatures (<https://c2sp.org/signed-note>).

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Signer, Verifier, key::is_key_name};

/// How many bytes a note may have. The specification asks for room for 16 signatures, also of the large kinds that resist
/// quantum computers: nearly 7 kB each in base64.
pub const MAX_NOTE_LENGTH: usize = 128 * 1024;

/// How many signatures a note may have.
pub const MAX_NOTE_SIGNATURES: usize = 100;

/// The start of a line with a signature: an em dash and a space.
const SIGNATURE_PREFIX: &str = "— ";

/// Before the signature itself stands the id of the key.
const KEY_ID_LENGTH: usize = 4;

/// A note can't be written, or is not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// It has more than [`MAX_NOTE_LENGTH`] bytes.
    #[error("a note has at most 131072 bytes")]
    TooLong,
    /// The text does not end with a newline.
    #[error("the text of a note ends with a newline")]
    NoFinalNewline,
    /// It contains a control character other than newline.
    #[error("a note contains no control characters but newlines")]
    ControlCharacter,
    /// There are no signatures after a blank line.
    #[error("a note has a blank line and signatures after its text")]
    NoSignatures,
    /// A line after the blank one is not a signature.
    #[error("line {line} of the signatures is not one")]
    MalformedSignature {
        /// Which one, from 1.
        line: usize,
    },
    /// It has more than [`MAX_NOTE_SIGNATURES`].
    #[error("a note has at most 100 signatures")]
    TooManySignatures,
    /// A signature says that it is by a known key, and is not.
    #[error("the signature of {name}+{id:08x} is not by this key, or the text was changed")]
    BadSignature {
        /// The key's name.
        name: String,
        /// The key's id.
        id: u32,
    },
    /// No known key has signed it.
    #[error("no known key has signed the note")]
    Unsigned,
    /// The cryptographic library could not sign.
    #[error("the note could not be signed")]
    Signing,
}

impl Signer {
    /// The note of `text`, signed by this key: the text, a blank line and a line with the signature.
    ///
    /// # Errors
    /// The text does not end with a newline, contains another control character, or is too long.
    pub fn sign(&self, text: &str) -> Result<String, NoteError> {
        check_text(text)?;
        let signature = STANDARD.encode(self.signature(text).map_err(|_| NoteError::Signing)?);
        let note = format!("{text}\n{SIGNATURE_PREFIX}{} {signature}\n", self.verifier().name());
        if note.len() > MAX_NOTE_LENGTH { Err(NoteError::TooLong) } else { Ok(note) }
    }
}

/// The text of a note that at least one of the `known` keys has signed, and none of them with a wrong signature.
///
/// Signatures of other keys are ignored, but must have the form of one.
///
/// # Errors
/// The note has not the form of one, a signature of a known key is wrong, or there is none.
pub fn open<'note>(note: &'note str, known: &[Verifier]) -> Result<&'note str, NoteError> {
    if note.len() > MAX_NOTE_LENGTH {
        return Err(NoteError::TooLong);
    }
    check_characters(note)?;
    // The text may have blank lines too: the last one counts.
    let (text_end, _) = note.rmatch_indices("\n\n").next().ok_or(NoteError::NoSignatures)?;
    let (text, rest) = note.split_at_checked(text_end + 1).ok_or(NoteError::NoSignatures)?;
    let lines = rest.strip_prefix('\n').ok_or(NoteError::NoSignatures)?;
    if lines.is_empty() {
        return Err(NoteError::NoSignatures);
    }

    let mut is_signed = false;
    for (number, line) in (1..).zip(lines.split_inclusive('\n')) {
        if number > MAX_NOTE_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        let Signature { name, id, bytes } = parse(line).ok_or(NoteError::MalformedSignature { line: number })?;
        let mut keys = known.iter().filter(|key| key.name() == name && key.id() == id).peekable();
        if keys.peek().is_none() {
            continue;
        }
        if !keys.any(|key| key.accepts(text, &bytes)) {
            return Err(NoteError::BadSignature { name: name.to_owned(), id });
        }
        is_signed = true;
    }
    if is_signed { Ok(text) } else { Err(NoteError::Unsigned) }
}

/// Whether `text` can be the text of a note.
fn check_text(text: &str) -> Result<(), NoteError> {
    check_characters(text)?;
    if text.ends_with('\n') { Ok(()) } else { Err(NoteError::NoFinalNewline) }
}

fn check_characters(text: &str) -> Result<(), NoteError> {
    let is_control = |byte: u8| byte < b' ' && byte != b'\n';
    if text.bytes().any(is_control) { Err(NoteError::ControlCharacter) } else { Ok(()) }
}

struct Signature<'note> {
    name: &'note str,
    id: u32,
    bytes: Vec<u8>,
}

fn parse(line: &str) -> Option<Signature<'_>> {
    let (name, base64) = line.strip_suffix('\n')?.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
    let decoded = STANDARD.decode(base64).ok()?;
    let (id, bytes) = decoded.split_first_chunk::<KEY_ID_LENGTH>()?;
    let is_whole = is_key_name(name) && !bytes.is_empty();
    is_whole.then(|| Signature { name, id: u32::from_be_bytes(*id), bytes: bytes.to_vec() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // The example of the specification.
    const VERIFIER: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const TEXT: &str = "This is an example message.\n";
    const SIGNATURE: &str = "— example.com/foo \
        Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    // From the documentation of Go's golang.org/x/mod/sumdb/note.
    const PETER: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const PETERS_TEXT: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n";
    const PETERS_SIGNATURE: &str = "— PeterNeumann \
        x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn verifier() -> Verifier {
        VERIFIER.parse().unwrap()
    }

    fn example() -> String {
        format!("{TEXT}\n{SIGNATURE}")
    }

    #[test]
    fn the_example_of_the_specification_opens() {
        assert_eq!(open(&example(), &[verifier()]), Ok(TEXT));
    }

    #[test]
    fn signing_gives_what_other_implementations_give() {
        let peter: Signer = PETER.parse().unwrap();
        let note = peter.sign(PETERS_TEXT).unwrap();
        assert_eq!(note, format!("{PETERS_TEXT}\n{PETERS_SIGNATURE}"));
        assert_eq!(open(&note, &[verifier(), peter.verifier().clone()]), Ok(PETERS_TEXT));
    }

    #[test]
    fn signatures_of_unknown_keys_are_ignored() {
        // The same name with another id, the same id with another name, and a key of another type with a long signature.
        let others = format!(
            "— example.com/foo AAAAAAA=\n— example.com/bar Uw2QOgA=\n— example.com/bar {}\n",
            STANDARD.encode([4; 5000])
        );
        assert_eq!(open(&format!("{TEXT}\n{others}{SIGNATURE}{others}"), &[verifier()]), Ok(TEXT));
        assert_eq!(open(&format!("{TEXT}\n{others}"), &[verifier()]), Err(NoteError::Unsigned));
        assert_eq!(open(&example(), &[]), Err(NoteError::Unsigned));
    }

    #[test]
    fn a_wrong_signature_of_a_known_key_spoils_a_good_one() {
        let wrong = SIGNATURE.replace("yaQM=", "yaQI=");
        for note in [format!("{TEXT}\n{SIGNATURE}{wrong}"), format!("{TEXT}\n— example.com/foo Uw2QOgA=\n{SIGNATURE}")]
        {
            let expected = NoteError::BadSignature { name: "example.com/foo".to_owned(), id: 0x530d_903a };
            assert_eq!(open(&note, &[verifier()]), Err(expected));
        }
        assert_eq!(open(&format!("{TEXT}\n{SIGNATURE}{SIGNATURE}"), &[verifier()]), Ok(TEXT));
    }

    #[test]
    fn of_two_keys_with_one_name_and_id_either_may_sign() {
        let peter: Signer = PETER.parse().unwrap();
        let note = peter.sign(TEXT).unwrap();
        assert_eq!(open(&note, &[peter.verifier().clone(), peter.verifier().clone()]), Ok(TEXT));
    }

    #[test]
    fn a_text_may_have_blank_lines_and_look_like_a_note() {
        let peter: Signer = PETER.parse().unwrap();
        let known = [peter.verifier().clone()];
        for text in ["\n", "\n\n", "a\n\nb\n", "a\n\n", &example()] {
            assert_eq!(open(&peter.sign(text).unwrap(), &known), Ok(text));
        }
    }

    #[test]
    fn what_has_not_the_form_of_a_note_is_refused() {
        let refused = |note: &str| open(note, &[verifier()]).unwrap_err();
        for note in ["", "\n", "\n\n", TEXT, SIGNATURE, &format!("{TEXT}\n"), &format!("{TEXT}{SIGNATURE}")] {
            assert_eq!(refused(note), NoteError::NoSignatures, "{note:?}");
        }
        for note in [example().replace("example message", "example\tmessage"), example().replace('\n', "\r\n")] {
            assert_eq!(refused(&note), NoteError::ControlCharacter, "{note:?}");
        }
        for (note, line) in [
            (example().trim_end().to_owned(), 1),
            (example().replace('—', "-"), 1),
            (example().replace("foo ", "foo  "), 1),
            (example().replace("/foo ", "+foo "), 1),
            (example().replace("— example.com/foo", "— "), 1),
            (example().replace("aQM=\n", "aQM\n"), 1),
            (example().replace("aQM=\n", "aQM=\u{20}\n"), 1),
            (format!("{TEXT}\n{SIGNATURE}hello\n"), 2),
            (format!("{TEXT}\n{SIGNATURE}— a AAAAAA==\n"), 2),
        ] {
            assert_eq!(refused(&note), NoteError::MalformedSignature { line }, "{note:?}");
        }
    }

    #[test]
    fn a_note_is_bounded() {
        let many = |count| format!("{TEXT}\n{}", SIGNATURE.repeat(count));
        assert_eq!(open(&many(100), &[verifier()]), Ok(TEXT));
        assert_eq!(open(&many(101), &[verifier()]), Err(NoteError::TooManySignatures));
        let peter: Signer = PETER.parse().unwrap();
        let longest = "a".repeat(MAX_NOTE_LENGTH - PETERS_SIGNATURE.len() - 2) + "\n";
        let note = peter.sign(&longest).unwrap();
        assert!(open(&note, &[peter.verifier().clone()]).is_ok());
        assert_eq!(open(&format!("a{note}"), &[peter.verifier().clone()]), Err(NoteError::TooLong));
        assert_eq!(peter.sign(&format!("a{longest}")), Err(NoteError::TooLong));
    }

    #[test]
    fn a_text_that_no_one_could_open_is_not_signed() {
        let peter: Signer = PETER.parse().unwrap();
        assert_eq!(peter.sign(""), Err(NoteError::NoFinalNewline));
        assert_eq!(peter.sign("a"), Err(NoteError::NoFinalNewline));
        assert_eq!(peter.sign("a\r\n"), Err(NoteError::ControlCharacter));
    }

    proptest! {
        #[test]
        fn what_is_signed_opens_and_nothing_else_does(text in "([ -~ä—]{0,9}\n){1,5}", seed: [u8; 32], at: prop::sample::Index, bit in 0..8_u32) {
            let signer = Signer::new("log", &seed).unwrap();
            let note = signer.sign(&text).unwrap();
            let known = [signer.verifier().clone()];
            prop_assert_eq!(open(&note, &known), Ok(text.as_str()));

            let mut changed = note.into_bytes();
            *at.get_mut(&mut changed) ^= 1_u8 << bit;
            if let Ok(changed) = String::from_utf8(changed) {
                prop_assert!(open(&changed, &known).is_err());
            }
        }

        #[test]
        fn nothing_makes_it_panic(note in r"(.*|\n|— a [A-Za-z0-9+/]{8}\n){0,9}") {
            let _ = open(&note, &[verifier()]);
        }
    }
}
