//! Secrets: from the operating system, hashed by SHA-256.

use alm_core::ports::{BackendError, Secrets};
use aws_lc_rs::rand;
use sha2::{Digest, Sha256};

/// Makes secrets of what the operating system gives for that.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemSecrets;

impl Secrets for SystemSecrets {
    fn random(&self) -> Result<[u8; 32], BackendError> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes)
            .map_err(|_| BackendError::internal("secrets", "random").with_source("the system gave no random bytes"))?;
        Ok(bytes)
    }

    fn sha256(&self, bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_secrets_are_the_same_and_hashes_are_those_of_the_standard() {
        assert_ne!(SystemSecrets.random().unwrap(), SystemSecrets.random().unwrap());
        let abc = SystemSecrets.sha256(b"abc");
        // FIPS 180-4, the first example.
        assert_eq!(abc[..8], [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea]);
        assert_eq!(abc[24..], [0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad]);
    }
}
