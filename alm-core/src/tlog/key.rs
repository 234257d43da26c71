//! The keys of signed notes.

use std::{fmt, str::FromStr};

use aws_lc_rs::{
    digest::{SHA256, digest},
    encoding::AsBigEndian as _,
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The signature type of Ed25519.
const ED25519_TYPE: u8 = 0x01;
const KEY_LENGTH: usize = 32;
const PRIVATE_PREFIX: &str = "PRIVATE+KEY+";

/// Something is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A key's name must not be empty nor contain white space, control characters or `+`.
    #[error("a key's name must not be empty nor contain white space, control characters or '+'")]
    Name,
    /// It is not of the form `<name>+<id>+<key>`, for a private key with `PRIVATE+KEY+` before.
    #[error("not of the form <name>+<id in 8 hex digits>+<key in base64>")]
    Form,
    /// It is not a key for Ed25519, of 32 bytes.
    #[error("not an Ed25519 key")]
    NotEd25519,
    /// The id is not the one that follows from the name and the key.
    #[error("the key's id is not that of its name and key")]
    OtherId,
    /// The cryptographic library refused the key.
    #[error("the key can't be used")]
    Refused,
}

/// A key that signs notes: a name, by convention the URL of the log without `https://`, and an Ed25519 key.
///
/// Its text, [`private_key`](Signer::private_key), is a secret; `Debug` doesn't show it.
#[derive(Clone)]
pub struct Signer {
    pair: Ed25519KeyPair,
    verifier: Verifier,
}

impl Signer {
    /// The key with this name and this seed (RFC 8032 section 5.1.5). For a new key, 32 bytes from a secure source of randomness.
    ///
    /// # Errors
    /// The name is not one.
    pub fn new(name: &str, seed: &[u8; KEY_LENGTH]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Refused)?;
        let public_key = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Refused)?;
        Ok(Self { verifier: Verifier::new(name, public_key)?, pair })
    }

    /// What others need to check its signatures.
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The key as text, to be kept secret: `PRIVATE+KEY+<name>+<id>+<base64>`, as Go's `golang.org/x/mod/sumdb/note` writes it.
    ///
    /// # Errors
    /// The cryptographic library does not give the seed.
    pub fn private_key(&self) -> Result<String, KeyError> {
        let seed = self.pair.seed().and_then(|seed| seed.as_be_bytes()).map_err(|_| KeyError::Refused)?;
        Ok(format!("{PRIVATE_PREFIX}{}", key_text(&self.verifier, seed.as_ref())))
    }

    pub(super) fn signature(&self, text: &str) -> Result<Vec<u8>, KeyError> {
        let signature = self.pair.try_sign(text.as_bytes()).map_err(|_| KeyError::Refused)?;
        Ok([&self.verifier.id.to_be_bytes(), signature.as_ref()].concat())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

impl FromStr for Signer {
    type Err = KeyError;

    /// Reads what [`private_key`](Signer::private_key) gives, and nothing else.
    ///
    /// # Errors
    /// `text` is not a private key.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, id, seed) = parse(text.strip_prefix(PRIVATE_PREFIX).ok_or(KeyError::Form)?)?;
        let signer = Self::new(name, &seed)?;
        if signer.verifier.id == id { Ok(signer) } else { Err(KeyError::OtherId) }
    }
}

/// A key that checks the signatures of notes. Its text is `<name>+<id>+<base64>` (<https://c2sp.org/signed-note>, "Verifier
/// keys").
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    id: u32,
    public_key: [u8; KEY_LENGTH],
}

impl Verifier {
    /// The key with this name and this public key (RFC 8032 section 5.1.5).
    ///
    /// # Errors
    /// The name is not one.
    pub fn new(name: &str, public_key: [u8; KEY_LENGTH]) -> Result<Self, KeyError> {
        if !is_key_name(name) {
            return Err(KeyError::Name);
        }
        let identified = [name.as_bytes(), b"\n", &[ED25519_TYPE], &public_key].concat();
        let id = digest(&SHA256, &identified).as_ref().first_chunk().copied().map(u32::from_be_bytes);
        Ok(Self { name: name.to_owned(), id: id.ok_or(KeyError::Refused)?, public_key })
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key's id, which follows from its name and key. It says which key to check a signature with, and proves nothing.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// The public key.
    pub const fn public_key(&self) -> &[u8; KEY_LENGTH] {
        &self.public_key
    }

    pub(super) fn accepts(&self, text: &str, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public_key).verify(text.as_bytes(), signature).is_ok()
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&key_text(self, &self.public_key))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Verifier {
    type Err = KeyError;

    /// Reads what `Display` writes, and nothing else.
    ///
    /// # Errors
    /// `text` is not a verifier key of Ed25519.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, id, public_key) = parse(text)?;
        let verifier = Self::new(name, public_key)?;
        if verifier.id == id { Ok(verifier) } else { Err(KeyError::OtherId) }
    }
}

/// Whether a key may have this name. What a note may not contain, a name may not either.
pub(super) fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c == '+' || c < ' ' || c.is_whitespace())
}

fn key_text(verifier: &Verifier, key: &[u8]) -> String {
    let typed = [&[ED25519_TYPE], key].concat();
    format!("{}+{:08x}+{}", verifier.name, verifier.id, STANDARD.encode(typed))
}

/// Name, id and key.
fn parse(text: &str) -> Result<(&str, u32, [u8; KEY_LENGTH]), KeyError> {
    let (name, rest) = text.split_once('+').ok_or(KeyError::Form)?;
    let (id, key) = rest.split_once('+').ok_or(KeyError::Form)?;
    if id.len() != 8 || !id.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(KeyError::Form);
    }
    let id = u32::from_str_radix(id, 16).map_err(|_| KeyError::Form)?;
    let key = STANDARD.decode(key).map_err(|_| KeyError::Form)?;
    match key.split_first() {
        Some((&ED25519_TYPE, key)) => Ok((name, id, key.try_into().map_err(|_| KeyError::NotEd25519)?)),
        _ => Err(KeyError::NotEd25519),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // From the documentation of Go's golang.org/x/mod/sumdb/note.
    const PRIVATE: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const PUBLIC: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    #[test]
    fn a_private_key_gives_its_public_key() {
        let signer: Signer = PRIVATE.parse().unwrap();
        assert_eq!(signer.private_key().unwrap(), PRIVATE);
        assert_eq!(signer.verifier().to_string(), PUBLIC);
        assert_eq!(PUBLIC.parse().as_ref(), Ok(signer.verifier()));
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let signer: Signer = PRIVATE.parse().unwrap();
        assert_eq!(format!("{signer:?}"), format!("Signer {{ verifier: {PUBLIC}, .. }}"));
    }

    #[test]
    fn a_name_is_one_word_without_plus() {
        for name in ["", " ", "a b", "a\u{a0}b", "a\u{85}b", "a\u{2003}b", "a+b", "a\n", "\u{1}"] {
            assert_eq!(Verifier::new(name, [0; 32]), Err(KeyError::Name), "{name:?}");
            assert_eq!(Signer::new(name, &[0; 32]).unwrap_err(), KeyError::Name, "{name:?}");
        }
        assert!(Verifier::new("example.org/Ä—1", [0; 32]).is_ok());
    }

    #[test]
    fn no_other_form_of_a_key_is_read() {
        let refused = |text: &str| text.parse::<Verifier>().unwrap_err();
        assert_eq!(refused(""), KeyError::Form);
        assert_eq!(refused("PeterNeumann+c74f20a3"), KeyError::Form);
        assert_eq!(refused(&PUBLIC.replace("c74f20a3", "C74f20a3")), KeyError::Form);
        assert_eq!(refused(&PUBLIC.replace("c74f20a3", "+c74f20a3")), KeyError::Form);
        assert_eq!(refused(&PUBLIC.replace("c74f20a3", "0c74f20a3")), KeyError::Form);
        assert_eq!(refused(&format!("{PUBLIC}=")), KeyError::Form);
        assert_eq!(refused(&format!("{PUBLIC}\n")), KeyError::Form);
        assert_eq!(refused(&PUBLIC.replace("+AR", "+BR")), KeyError::NotEd25519);
        assert_eq!(refused(&format!("{PUBLIC}AAAA")), KeyError::NotEd25519);
        assert_eq!(refused("PeterNeumann+c74f20a3+"), KeyError::NotEd25519);
        assert_eq!(refused(&PUBLIC.replace("Peter", "Paul")), KeyError::OtherId);
        assert_eq!(refused(&PUBLIC.replace("10TW", "10TX")), KeyError::OtherId);
        assert_eq!(PUBLIC.parse::<Signer>().unwrap_err(), KeyError::Form);
        assert_eq!(PRIVATE.replace("KDFz", "KDFa").parse::<Signer>().unwrap_err(), KeyError::OtherId);
    }

    proptest! {
        #[test]
        fn writing_and_reading_a_key_gives_the_same(name in "[!-*,-~ä—]{1,20}", seed: [u8; 32]) {
            let signer = Signer::new(&name, &seed).unwrap();
            let text = signer.private_key().unwrap();
            prop_assert_eq!(text.parse::<Signer>().unwrap().private_key().unwrap(), text);
            prop_assert_eq!(&signer.verifier().to_string().parse::<Verifier>().unwrap(), signer.verifier());
        }

        #[test]
        fn what_is_read_is_written_the_same(at in 0..PUBLIC.len(), with: char) {
            let mut text = PUBLIC.to_owned();
            text.replace_range(at..=at, &with.to_string());
            if let Ok(verifier) = text.parse::<Verifier>() {
                prop_assert_eq!(verifier.to_string(), text);
            }
        }
    }
}
