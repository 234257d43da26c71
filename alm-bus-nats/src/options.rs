//! How NATS is reached, and what is asked of it.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use async_nats::ServerAddr;

use crate::url;

/// Who one is to the server. Its `Debug` tells no secret.
#[derive(Clone, Default)]
pub(crate) enum Credentials {
    #[default]
    None,
    Password {
        user: String,
        password: String,
    },
    Token(String),
    NkeySeed(String),
    NkeyFile(PathBuf),
    JwtFile(PathBuf),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Password { user, .. } => f.debug_struct("Password").field("user", user).finish_non_exhaustive(),
            Self::Token(_) => f.write_str("Token(..)"),
            Self::NkeySeed(_) => f.write_str("NkeySeed(..)"),
            Self::NkeyFile(path) => f.debug_tuple("NkeyFile").field(path).finish(),
            Self::JwtFile(path) => f.debug_tuple("JwtFile").field(path).finish(),
        }
    }
}

/// Where a stream keeps what it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// On the disk.
    #[default]
    File,
    /// In the memory of the servers: a restart of all of them loses it.
    Memory,
}

/// How NATS is reached, and what is asked of it. Parsed from a URL,
/// `nats://[user:password@|token@]host[:port][,host[:port]…]`, or `tls://…` to talk TLS alone; user, password and token are
/// percent-encoded. The URL may set some of the options, too: `credentials`, `nkey`, `tls_ca`, `tls_cert`, `tls_key` (paths),
/// `stream`, `subject_prefix`, `replicas`, `max_bytes`, `max_age_secs`, `duplicate_window_secs`, `ack_wait_secs`.
///
/// ```
/// use alm_bus_nats::NatsOptions;
///
/// let options: NatsOptions = "tls://nats-1,nats-2?credentials=/etc/alm/nats.creds".parse()?;
/// assert!("nats://localhost?replica=3".parse::<NatsOptions>().is_err());
/// # Ok::<(), alm_bus_nats::OptionsError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct NatsOptions {
    pub(crate) servers: Vec<ServerAddr>,
    pub(crate) tls: bool,
    pub(crate) credentials: Credentials,
    pub(crate) root_certificates: Option<PathBuf>,
    pub(crate) client_certificate: Option<PathBuf>,
    pub(crate) client_key: Option<PathBuf>,
    pub(crate) name: String,
    pub(crate) stream: String,
    pub(crate) subject_prefix: String,
    pub(crate) storage: Storage,
    pub(crate) replicas: Option<usize>,
    pub(crate) max_age: Option<Duration>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) duplicate_window: Duration,
    pub(crate) ack_wait: Option<Duration>,
    pub(crate) max_ack_pending: Option<u32>,
    pub(crate) request_timeout: Duration,
}

impl NatsOptions {
    pub(crate) fn of(servers: Vec<ServerAddr>, tls: bool) -> Self {
        Self {
            servers,
            tls,
            credentials: Credentials::None,
            root_certificates: None,
            client_certificate: None,
            client_key: None,
            name: "alm".to_owned(),
            stream: "ALM_EVENTS".to_owned(),
            subject_prefix: "alm.v1".to_owned(),
            storage: Storage::File,
            replicas: None,
            max_age: None,
            max_bytes: None,
            duplicate_window: Duration::from_mins(2),
            ack_wait: None,
            max_ack_pending: None,
            request_timeout: Duration::from_secs(5),
        }
    }

    /// What the server calls this connection. The default is `alm`.
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// The stream: up to 31 of `A-Z`, `a-z`, `0-9`, `-` and `_`. The default is `ALM_EVENTS`.
    pub fn stream(self, stream: impl Into<String>) -> Self {
        Self { stream: stream.into(), ..self }
    }

    /// What the subjects of events begin with; those of heads and replays are beside it. The default is `alm.v1`.
    pub fn subject_prefix(self, prefix: impl Into<String>) -> Self {
        Self { subject_prefix: prefix.into(), ..self }
    }

    /// On how many servers of a cluster the stream is kept, 1 to 5. A stream that is kept on more is left so. Unset: one for a
    /// stream that is not there yet.
    pub fn replicas(self, replicas: usize) -> Self {
        Self { replicas: Some(replicas), ..self }
    }

    /// Where the stream keeps what it has, when it is made.
    pub fn storage(self, storage: Storage) -> Self {
        Self { storage, ..self }
    }

    /// How long the stream keeps an event; zero: for ever. Unset: what the stream has, for ever when it is made.
    pub fn max_age(self, age: Duration) -> Self {
        Self { max_age: Some(age), ..self }
    }

    /// How many bytes the stream may have; then its oldest events go. 0: any. Unset: what the stream has, any when it is made.
    pub fn max_bytes(self, bytes: u64) -> Self {
        Self { max_bytes: Some(bytes), ..self }
    }

    /// How long the stream knows the ids of events, at least. The default is two minutes.
    pub fn duplicate_window(self, window: Duration) -> Self {
        Self { duplicate_window: window, ..self }
    }

    /// After how long what is not acknowledged comes again. Unset: what the consumer has, 30 s when it is made.
    pub fn ack_wait(self, wait: Duration) -> Self {
        Self { ack_wait: Some(wait), ..self }
    }

    /// How many deliveries of one consumer name may wait for their acknowledgement. Unset: what the consumer has, 4096 when it is
    /// made. For the services of ALM it must be 2048 at least: they make room for other logs once they hold so many.
    pub fn max_ack_pending(self, deliveries: u32) -> Self {
        Self { max_ack_pending: Some(deliveries), ..self }
    }

    /// How long an answer of the server may take. The default is 5 s.
    pub fn request_timeout(self, timeout: Duration) -> Self {
        Self { request_timeout: timeout, ..self }
    }

    /// Logs in with a password.
    pub fn user_and_password(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { credentials: Credentials::Password { user: user.into(), password: password.into() }, ..self }
    }

    /// Logs in with a token.
    pub fn token(self, token: impl Into<String>) -> Self {
        Self { credentials: Credentials::Token(token.into()), ..self }
    }

    /// Logs in with an nkey, whose seed this is (`SU…`).
    pub fn nkey(self, seed: impl Into<String>) -> Self {
        Self { credentials: Credentials::NkeySeed(seed.into()), ..self }
    }

    /// Logs in with an nkey, whose seed is in this file.
    pub fn nkey_file(self, path: impl Into<PathBuf>) -> Self {
        Self { credentials: Credentials::NkeyFile(path.into()), ..self }
    }

    /// Logs in with the JWT and the seed in this file, as `nsc generate creds` makes it.
    pub fn credentials_file(self, path: impl Into<PathBuf>) -> Self {
        Self { credentials: Credentials::JwtFile(path.into()), ..self }
    }

    /// Whom to trust in TLS: a file of PEM certificates, in place of those that the machine trusts.
    pub fn root_certificates(self, path: impl Into<PathBuf>) -> Self {
        Self { root_certificates: Some(path.into()), ..self }
    }

    /// A certificate for oneself in TLS, and its key: files in PEM.
    pub fn client_certificate(self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { client_certificate: Some(certificate.into()), client_key: Some(key.into()), ..self }
    }
}

impl FromStr for NatsOptions {
    type Err = OptionsError;

    fn from_str(url: &str) -> Result<Self, OptionsError> {
        url::parse(url)
    }
}

/// Options that can't be. It tells no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsError {
    what: &'static str,
    why: String,
}

impl OptionsError {
    pub(crate) fn new(what: &'static str, why: impl Into<String>) -> Self {
        Self { what, why: why.into() }
    }
}

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.why)
    }
}

impl std::error::Error for OptionsError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(url: &str) -> Vec<String> {
        let options: NatsOptions = url.parse().unwrap();
        options.servers.iter().map(|server| format!("{}:{}", server.host(), server.port())).collect()
    }

    #[test]
    fn a_url_names_one_server_or_several() {
        assert_eq!(servers("nats://localhost"), ["localhost:4222"]);
        assert_eq!(servers("nats://a:1,b,10.0.0.1:3/"), ["a:1", "b:4222", "10.0.0.1:3"]);
        assert_eq!(servers("nats://[::1]:5,[fe80::1]"), ["::1:5", "fe80::1:4222"]);
        assert!("tls://localhost".parse::<NatsOptions>().unwrap().tls);
    }

    #[test]
    fn a_url_says_who_one_is() {
        let options: NatsOptions = "nats://ad%40a:p%3Aw%25@localhost".parse().unwrap();
        let Credentials::Password { user, password } = options.credentials else { panic!() };
        assert_eq!((user.as_str(), password.as_str()), ("ad@a", "p:w%"));
        let options: NatsOptions = "nats://s3cr%2Ft@localhost".parse().unwrap();
        assert!(matches!(options.credentials, Credentials::Token(token) if token == "s3cr/t"));
        let options: NatsOptions = "nats://localhost?credentials=/a%20b&replicas=3&max_age_secs=60".parse().unwrap();
        assert_eq!((options.replicas, options.max_age), (Some(3), Some(Duration::from_mins(1))));
        assert!(matches!(options.credentials, Credentials::JwtFile(path) if path.as_os_str() == "/a b"));
        let options: NatsOptions = "nats://localhost?duplicate_window_secs=1&ack_wait_secs=2".parse().unwrap();
        let (second, two) = (Duration::from_secs(1), Duration::from_secs(2));
        assert_eq!((options.duplicate_window, options.ack_wait), (second, Some(two)));
    }

    #[test]
    fn a_url_that_can_not_be_is_refused_without_its_secrets() {
        for url in [
            "",
            "localhost",
            "http://u:s3cret@localhost",
            "nats://u:s3cret@",
            "nats://u:s3cret@a,,b",
            "nats://u:s3cret@a:port",
            "nats://u:s3cret@a:99999",
            "nats://u:s3cret%4@a",
            "nats://u:s3cret%ff@a",
            "nats://u:s3cret@a b",
            "nats://u:s3cret@a/path",
            "nats://u:s3cret@a?replicas=many",
            "nats://u:s3cret@a?s3cret=1",
        ] {
            let error = url.parse::<NatsOptions>().unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }

    #[test]
    fn no_secret_is_in_debug() {
        let options: NatsOptions = "nats://ada:s3cret@localhost".parse().unwrap();
        for options in [options.clone(), options.clone().token("s3cret"), options.nkey("s3cret")] {
            let debug = format!("{options:?}");
            assert!(!debug.contains("s3cret"), "{debug}");
        }
    }
}
