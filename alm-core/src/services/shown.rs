//! Secrets as they are shown: a prefix, what the credential is found by, and the secret itself, in hexadecimal digits.

use uuid::Uuid;

use crate::{
    domain::{CredentialId, SecretHash, from_hex, to_hex},
    ports::{BackendError, Secrets},
};

/// A refresh token or an API key in clear.
pub(super) struct Shown {
    kind: Kind,
    /// Of an API key its id; of a refresh token what only who has had one knows, and the id of its session is a hash of.
    selector: [u8; 16],
    secret: [u8; 32],
}

/// What it is for. The prefix tells it, also to those who search for secrets that have leaked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    RefreshToken,
    ApiKey,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::RefreshToken => "almr_",
            Self::ApiKey => "alm_",
        }
    }
}

impl Shown {
    /// A refresh token of a new session.
    pub(super) fn refresh_token(secrets: &dyn Secrets) -> Result<Self, BackendError> {
        let [selector @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = secrets.random()?;
        Ok(Self { kind: Kind::RefreshToken, selector, secret: secrets.random()? })
    }

    /// An API key, new or with a new secret.
    pub(super) fn api_key(id: CredentialId, secrets: &dyn Secrets) -> Result<Self, BackendError> {
        Ok(Self { kind: Kind::ApiKey, selector: *id.get().as_bytes(), secret: secrets.random()? })
    }

    /// Reads what [`text`](Self::text) writes, and nothing else.
    pub(super) fn parse(kind: Kind, text: &str) -> Option<Self> {
        let digits = text.strip_prefix(kind.prefix())?;
        let (selector, secret) = digits.split_at_checked(32)?;
        Some(Self { kind, selector: from_hex(selector)?, secret: from_hex(secret)? })
    }

    pub(super) fn text(&self) -> String {
        format!("{}{}{}", self.kind.prefix(), to_hex(&self.selector), to_hex(&self.secret))
    }

    /// The credential that it is of.
    pub(super) fn id(&self, secrets: &dyn Secrets) -> CredentialId {
        let uuid = match self.kind {
            Kind::ApiKey => Uuid::from_bytes(self.selector),
            // The id stands in access tokens and in events. Whoever sees it there can't make a token that names the session, and
            // have it ended as one whose token was stolen.
            Kind::RefreshToken => {
                let hash = secrets.sha256(&[b"alm session".as_slice(), &self.selector].concat());
                Uuid::from_bytes(std::array::from_fn(|place| hash[place]))
            }
        };
        CredentialId::new(uuid)
    }

    pub(super) fn hash(&self, secrets: &dyn Secrets) -> SecretHash {
        SecretHash::new(secrets.sha256(&self.secret))
    }

    /// The next token of the session. It takes both to make it: `nonce`, which is kept, and this, which is not.
    pub(super) fn successor(&self, nonce: &[u8; 32], secrets: &dyn Secrets) -> Self {
        let secret = secrets.sha256(&[b"alm refresh".as_slice(), &self.secret, nonce].concat());
        Self { kind: self.kind, selector: self.selector, secret }
    }
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown(…)")
    }
}
