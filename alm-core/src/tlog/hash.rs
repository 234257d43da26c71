//! The hashes that the tree is made of.

use std::{fmt, str::FromStr};

use aws_lc_rs::digest::{Context, Digest, SHA256, digest};
use base64::{DecodeSliceError, Engine as _, engine::general_purpose::STANDARD};

/// A SHA-256 hash of a leaf, of a node or of a whole tree. Written in base64 with padding, as C2SP's documents do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; Hash::LEN]);

/// The root of a tree without leaves: the hash of nothing (RFC 6962 section 2.1).
pub const EMPTY_ROOT: Hash = Hash([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

// They keep leaves and nodes apart: without them a node could be passed off as a leaf.
const LEAF_PREFIX: u8 = 0;
const NODE_PREFIX: u8 = 1;

/// The hash of the leaf that consists of `bytes`: SHA-256(0x00 ‖ bytes) (RFC 6962 section 2.1).
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[LEAF_PREFIX]);
    context.update(bytes);
    Hash::of(&context.finish())
}

/// The hash of the node above `left` and `right`: SHA-256(0x01 ‖ left ‖ right) (RFC 6962 section 2.1).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    // In one piece, which is a good deal faster than by a context.
    let mut bytes = [NODE_PREFIX; 1 + 2 * Hash::LEN];
    bytes[1..=Hash::LEN].copy_from_slice(&left.0);
    bytes[1 + Hash::LEN..].copy_from_slice(&right.0);
    Hash::of(&digest(&SHA256, &bytes))
}

impl Hash {
    /// How many bytes a hash has.
    pub const LEN: usize = 32;

    /// The hash with these bytes.
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    fn of(digest: &Digest) -> Self {
        let mut bytes = [0; Self::LEN];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is not a hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// It is not base64 with padding (RFC 4648 section 4), or not the one form of it for these bytes.
    #[error("not standard base64 with padding")]
    NotBase64,
    /// It has fewer or more bytes.
    #[error("a hash has 32 bytes")]
    Length,
}

impl FromStr for Hash {
    type Err = HashError;

    /// Reads what `Display` writes, and nothing else.
    ///
    /// # Errors
    /// `text` is not base64, or not of 32 bytes.
    fn from_str(text: &str) -> Result<Self, HashError> {
        let mut bytes = [0; Self::LEN];
        match STANDARD.decode_slice(text, &mut bytes) {
            Ok(Self::LEN) => Ok(Self(bytes)),
            Ok(_) | Err(DecodeSliceError::OutputSliceTooSmall) => Err(HashError::Length),
            Err(DecodeSliceError::DecodeError(_)) => Err(HashError::NotBase64),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_empty_root_is_the_hash_of_nothing() {
        assert_eq!(EMPTY_ROOT, Hash::of(&digest(&SHA256, b"")));
        assert_eq!(EMPTY_ROOT.to_string(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn only_the_one_form_of_a_hash_is_read() {
        let text = EMPTY_ROOT.to_string();
        assert_eq!(text.parse(), Ok(EMPTY_ROOT));
        let refused = |text: &str| text.parse::<Hash>().unwrap_err();
        assert_eq!(refused(text.trim_end_matches('=')), HashError::NotBase64);
        // The last character before the padding has two bits to spare, which must be 0.
        assert_eq!(refused(&text.replace("FU=", "FV=")), HashError::NotBase64);
        assert_eq!(refused(&format!("{text}\n")), HashError::NotBase64);
        assert_eq!(refused(&text.replace('+', "-")), HashError::NotBase64);
        assert_eq!(refused(""), HashError::Length);
        assert_eq!(refused("AAAA"), HashError::Length);
        assert_eq!(refused(&"A".repeat(48)), HashError::Length);
    }

    proptest! {
        #[test]
        fn writing_and_reading_gives_the_same(bytes: [u8; 32]) {
            prop_assert_eq!(Hash::new(bytes).to_string().parse(), Ok(Hash::new(bytes)));
        }

        #[test]
        fn what_is_read_is_written_the_same(text in "[A-Za-z0-9+/]{42,44}={0,2}") {
            if let Ok(hash) = text.parse::<Hash>() {
                prop_assert_eq!(hash.to_string(), text);
            }
        }
    }
}
