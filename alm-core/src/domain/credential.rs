//! What is shown to prove who one is, beside a password: it is kept as a hash, and it can be ended.

use std::{collections::BTreeSet, fmt, net::IpAddr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{
    ApiKeyName, CredentialId, Grant, Invalid, Rejected, Revision, Role, Subject, Timestamp, User, Username,
    invalid::Fields,
};

/// A session or an API key. Who has its secret acts as its holder until it expires or is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Names it.
    pub id: CredentialId,
    /// Who acts by it.
    pub holder: Holder,
    /// The hash of its secret.
    pub secret: SecretHash,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it got its secret.
    pub updated_at: Timestamp,
    /// From when on it does not count.
    pub expires_at: Timestamp,
    /// Counts its secrets.
    pub revision: Revision,
}

/// Who acts by a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// Someone who has logged in.
    Session(Session),
    /// A machine.
    ApiKey(ApiKey),
}

/// A log-in. It counts for the account as it was then: no more once the account has another role or password, or is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Whose account it is.
    pub username: Username,
    /// When the account was created: another of the same name may come.
    pub account_created_at: Timestamp,
    /// The revision of the account.
    pub account_revision: Revision,
    /// The network that the log-in came from, if that is known.
    #[serde(default)]
    pub address: Option<IpAddr>,
}

/// What an API key is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Unique among the API keys.
    pub name: ApiKeyName,
    /// What it may do.
    pub role: Role,
    /// What it may do besides.
    #[serde(default)]
    pub grants: BTreeSet<Grant>,
    /// The secret that it had before, while that still counts.
    #[serde(default)]
    pub retired: Option<Retired>,
}

/// A secret that was replaced and counts for a while, so that its users can change over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// Its hash.
    pub secret: SecretHash,
    /// From when on it does not count.
    pub until: Timestamp,
}

impl Credential {
    /// A session of `account`.
    pub fn session(id: CredentialId, account: &User, secret: SecretHash, at: Timestamp, expires_at: Timestamp) -> Self {
        let holder = Holder::Session(Session {
            username: account.username.clone(),
            account_created_at: account.created_at,
            account_revision: account.revision,
            address: None,
        });
        Self { id, holder, secret, created_at: at, updated_at: at, expires_at, revision: Revision::FIRST }
    }

    /// It, if it is a session, of a log-in from `address`.
    #[must_use]
    pub fn opened_from(mut self, address: Option<IpAddr>) -> Self {
        if let Holder::Session(session) = &mut self.holder {
            session.address = address;
        }
        self
    }

    /// An API key.
    pub fn api_key(id: CredentialId, new: NewApiKey, secret: SecretHash, at: Timestamp) -> Self {
        let NewApiKey { name, role, grants, seconds } = new;
        Self {
            id,
            holder: Holder::ApiKey(ApiKey { name, role, grants, retired: None }),
            secret,
            created_at: at,
            updated_at: at,
            expires_at: at.plus_seconds(seconds.into()),
            revision: Revision::FIRST,
        }
    }

    /// It, with another secret. That of an API key which it had counts until `retired_at`; that of a session counts no more.
    #[must_use]
    pub fn renewed(&self, secret: SecretHash, at: Timestamp, retired_at: Timestamp) -> Self {
        let mut renewed = Self { secret, updated_at: at, revision: self.revision.next(), ..self.clone() };
        if let Holder::ApiKey(key) = &mut renewed.holder {
            key.retired = (at < retired_at).then(|| Retired { secret: self.secret.clone(), until: retired_at });
        }
        renewed
    }

    /// Whether `secret` proves at `now` that one is its holder.
    pub fn is_proved_by(&self, secret: &SecretHash, now: Timestamp) -> bool {
        self.counts_until(secret, now).is_some()
    }

    /// Until when `secret` proves that one is its holder, if it does at `now`.
    pub fn counts_until(&self, secret: &SecretHash, now: Timestamp) -> Option<Timestamp> {
        let retired = match &self.holder {
            Holder::ApiKey(key) => key.retired.as_ref().filter(|retired| retired.secret == *secret),
            Holder::Session(_) => None,
        };
        let until = if self.secret == *secret { Some(self.expires_at) } else { retired.map(|retired| retired.until) };
        until.map(|until| until.min(self.expires_at)).filter(|until| now < *until)
    }

    /// Whether it has not expired.
    pub fn counts(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }

    /// Whose session it is.
    pub fn username(&self) -> Option<&Username> {
        match &self.holder {
            Holder::Session(session) => Some(&session.username),
            Holder::ApiKey(_) => None,
        }
    }

    /// What events about it are about: the account of a session, the key itself.
    pub fn subject(&self) -> Subject {
        self.username().map_or(Subject::ApiKey(self.id), |username| Subject::User(username.clone()))
    }
}

impl Session {
    /// Whether it counts, of an account that is as given now.
    pub fn is_of(&self, account: &User) -> bool {
        self.username == account.username
            && self.account_created_at == account.created_at
            && self.account_revision == account.revision
    }
}

/// What it takes to create an API key.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// Unique among the API keys.
    pub name: ApiKeyName,
    /// What it may do.
    pub role: Role,
    /// What it may do besides.
    pub grants: BTreeSet<Grant>,
    /// For how long it counts.
    pub seconds: u32,
}

impl NewApiKey {
    /// The longest that an API key counts, in days.
    pub const MAX_DAYS: u16 = 3660;

    /// Checks every field. `days`: 1 to [`MAX_DAYS`](Self::MAX_DAYS).
    ///
    /// # Errors
    /// Every field that breaks its rule.
    pub fn parse(name: String, role: Role, grants: &[String], days: i64) -> Result<Self, Invalid> {
        let mut fields = Fields::default();
        let name = fields.take("/name", ApiKeyName::parse(name));
        let grants = fields.take_all("/scopes", Grant::parse_all(grants));
        let days = u16::try_from(days).ok().filter(|days| (1..=Self::MAX_DAYS).contains(days));
        let days = days.ok_or_else(|| Rejected::new("out-of-range", format!("must be 1 to {}", Self::MAX_DAYS)));
        let days = fields.take("/expires_in_days", days);
        fields.finish(name.zip(grants).zip(days).map(|((name, grants), days)| Self {
            name,
            role,
            grants,
            seconds: u32::from(days) * 24 * 60 * 60,
        }))
    }
}

/// The SHA-256 hash of a secret of 32 random bytes: there is nothing to guess, so nothing is gained by a slow one. `Debug` does not
/// show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// The hash with these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

impl Serialize for SecretHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for SecretHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        from_hex(&text).map(Self).ok_or_else(|| D::Error::custom("a hash has 64 hexadecimal digits"))
    }
}

/// `bytes` in lower-case hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// What [`to_hex`] writes, and nothing else.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000).unwrap().plus_seconds(seconds)
    }

    fn hash(byte: u8) -> SecretHash {
        SecretHash::new([byte; 32])
    }

    fn key() -> Credential {
        let new = NewApiKey::parse("ci".into(), Role::Viewer, &["deployer:7/prod".into()], 1).unwrap();
        Credential::api_key(CredentialId::new(uuid::Uuid::from_u128(1)), new, hash(1), at(0))
    }

    #[test]
    fn a_key_is_proved_by_its_secret_until_it_expires() {
        let key = key();
        assert!(key.is_proved_by(&hash(1), at(0)));
        assert!(!key.is_proved_by(&hash(2), at(0)));
        assert!(key.is_proved_by(&hash(1), at(86_399)));
        assert!(!key.is_proved_by(&hash(1), at(86_400)));
    }

    #[test]
    fn the_secret_before_counts_for_as_long_as_it_was_given_and_the_one_before_that_no_more() {
        let renewed = key().renewed(hash(2), at(10), at(20));
        assert!(renewed.is_proved_by(&hash(2), at(10)) && renewed.is_proved_by(&hash(1), at(19)));
        assert!(!renewed.is_proved_by(&hash(1), at(20)));
        let again = renewed.renewed(hash(3), at(12), at(30));
        assert!(again.is_proved_by(&hash(2), at(29)) && !again.is_proved_by(&hash(1), at(12)));
        let at_once = key().renewed(hash(2), at(10), at(10));
        assert!(!at_once.is_proved_by(&hash(1), at(10)));
    }

    #[test]
    fn a_session_counts_for_the_account_as_it_was() {
        let ada = User::create(Username::parse("ada").unwrap(), Role::User, BTreeSet::new(), at(0));
        let session = Credential::session(CredentialId::new(uuid::Uuid::from_u128(1)), &ada, hash(1), at(1), at(100));
        let Holder::Session(of) = &session.holder else { panic!("{session:?}") };
        assert!(of.is_of(&ada));
        assert!(!of.is_of(&ada.update(Role::Viewer, BTreeSet::new()).unwrap()));
        assert!(!of.is_of(&User { created_at: at(1), ..ada.clone() }), "another account of the same name");
        assert!(!of.is_of(&User { username: Username::parse("bob").unwrap(), ..ada }));
        // A secret that was used is used up.
        assert!(!session.renewed(hash(2), at(2), at(100)).is_proved_by(&hash(1), at(2)));
    }

    #[test]
    fn secrets_are_not_shown_and_come_back() {
        let key = key();
        assert!(!format!("{key:?}").contains("1, 1"));
        let json = serde_json::to_string(&key).unwrap();
        assert!(json.contains(&"01".repeat(32)), "{json}");
        assert_eq!(serde_json::from_str::<Credential>(&json).unwrap(), key);
        for text in ["", "01", "0", &"0G".repeat(32), &"0A".repeat(32), &"é".repeat(32)] {
            assert_eq!(from_hex::<32>(text), None, "{text:?}");
        }
    }
}
