//! The keys that another issuer publishes (JWKS), fetched when they are needed.

mod source;

use std::{
    error::Error,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alm_core::ports::{BackendError, BackendErrorKind, Outcome};
use tokio::{runtime::Handle, sync::watch, time::Instant};

use super::{VerifyingKey, header::Asked, keys::Algorithm};
use source::{Failure, Source};

pub use source::InvalidJwks;

/// How long after a fetch has begun no other does.
const PAUSE: Duration = Duration::from_mins(1);
/// The age from which on keys are fetched again, while tokens go on to be checked by what there is.
const REFRESHED_AFTER: Duration = Duration::from_mins(10);
/// After so long without a fetch the next token waits for one: no one has used the keys meanwhile, and one may have been withdrawn long ago.
const AWAITED_AFTER: Duration = Duration::from_mins(20);
/// The age up to which keys count, when no newer ones can be had.
const KEPT_FOR: Duration = Duration::from_hours(24);

/// The public keys that another issuer publishes at a URL, as a JWK Set (RFC 7517). Clones share what was fetched.
///
/// - They are fetched for the first token that needs them, or by [`prefetch`](Self::prefetch); again when they are ten minutes old and in
///   use; and for a token that names a key which is not among them. Whatever tokens come, there is one fetch a minute at most, and all
///   who need it wait for the same one.
/// - A fetch takes five seconds and 256 KiB at most, and follows no redirect. While it fails, what there is goes on to count, for a day:
///   what the issuer has signed has expired by then. As long as there are no keys, tokens that may be the issuer's are neither accepted
///   nor refused: [`Backend`](alm_core::ports::AuthError::Backend).
/// - A key counts for tokens that name it (`kid`), with the one algorithm of its kind: RS256 of RSA with 2048 to 8192 bits, ES256 of
///   P-256, `EdDSA` of Ed25519. Others are left out, and so are those for another use, secrets (`oct`), those whose private part is
///   published, and all beyond 64. Of two with the same name the first counts.
///
/// Tokens must be checked within a runtime of tokio, on which the fetches run.
#[derive(Clone)]
pub struct Jwks(Arc<Shared>);

struct Shared {
    source: Source,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The keys, and when the fetch that gave them began.
    keys: Option<(Arc<[VerifyingKey]>, Instant)>,
    /// When the last fetch began.
    begun: Option<Instant>,
    /// When the last fetch ended, well or not.
    ended: Option<Instant>,
    /// Closed when the last fetch is over, whatever became of it.
    over: Option<watch::Receiver<()>>,
}

impl Jwks {
    /// The keys at `url`: `https`, or `http` on this machine alone. Who answers must have a certificate from one of `authorities`, in
    /// PEM; unless they are given, from one of those that this machine trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` say otherwise).
    ///
    /// # Errors
    /// See [`InvalidJwks`]. Whether keys can be had is not tried.
    pub fn new(url: &str, authorities: Option<&str>) -> Result<Self, InvalidJwks> {
        Ok(Self(Arc::new(Shared { source: Source::new(url, authorities)?, state: Mutex::default() })))
    }

    /// Begins to fetch the keys, so that the first token need not wait for them. It must be called within a runtime of tokio; outside of
    /// one nothing is done.
    pub fn prefetch(&self) {
        let mut state = self.0.lock();
        if state.keys.is_none() {
            self.fetch(&mut state, Instant::now());
        }
    }

    /// Whether the signature is that of the key which the header names.
    pub(super) async fn have_signed(
        &self,
        asked: &Asked<'_>,
        message: &str,
        signature: &str,
    ) -> Result<bool, BackendError> {
        let Some(kid) = asked.kid.as_deref() else { return Ok(false) };
        if asked.algorithm == Algorithm::Hs256 {
            return Ok(false);
        }
        let keys = self.keys_for(kid, asked.algorithm).await?;
        Ok(find(&keys, kid, asked.algorithm).is_some_and(|key| key.has_signed(message, signature)))
    }

    /// The keys to look for this one in: if they have it, or else may have got it meanwhile, they are fetched before.
    async fn keys_for(&self, kid: &str, algorithm: Algorithm) -> Result<Arc<[VerifyingKey]>, BackendError> {
        let awaited = {
            let now = Instant::now();
            let mut state = self.0.lock();
            let keys = state.keys(now).filter(|keys| find(keys, kid, algorithm).is_some());
            if let Some(keys) = &keys
                && state.age(now).is_some_and(|age| age < REFRESHED_AFTER)
            {
                return Ok(keys.clone());
            }
            let over = self.fetch(&mut state, now);
            if let Some(keys) = keys
                && state.ended.is_some_and(|ended| now < ended + AWAITED_AFTER)
            {
                return Ok(keys);
            }
            over
        };
        if let Some(mut over) = awaited {
            // It is never written to: what ends the wait is that the fetch is over.
            let _ = over.changed().await;
        }
        let now = Instant::now();
        let state = self.0.lock();
        state.keys(now).ok_or_else(|| state.unavailable(now))
    }

    /// The fetch that is under way, or else one that begins, unless the last one was a moment ago.
    fn fetch(&self, state: &mut State, now: Instant) -> Option<watch::Receiver<()>> {
        // Its sender is gone when it is over, even if it was ended with its runtime.
        if let Some(over) = state.over.as_ref().filter(|over| over.has_changed().is_ok()) {
            return Some(over.clone());
        }
        if state.begun.is_some_and(|begun| now < begun + PAUSE) {
            return None;
        }
        let runtime = Handle::try_current().ok()?;
        let (under_way, over) = watch::channel(());
        state.begun = Some(now);
        state.over = Some(over.clone());
        let shared = self.0.clone();
        // As a task of its own: a client that goes away takes only itself along.
        runtime.spawn(async move {
            let fetched = shared.source.fetch().await;
            shared.take(fetched, now);
            drop(under_way);
        });
        Some(over)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change of it is one assignment, so a panic leaves none half made.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, fetched: Result<Vec<VerifyingKey>, Failure>, begun: Instant) {
        let outcome = if fetched.is_ok() { "fetched" } else { "failed" };
        metrics::counter!("alm_jwks_fetches_total", "outcome" => outcome).increment(1);
        let url = &self.source;
        let mut state = self.lock();
        state.ended = Some(Instant::now());
        match fetched {
            Ok(keys) => {
                let names = names(&keys);
                if names.is_empty() {
                    tracing::warn!(%url, "the issuer publishes no key that tokens can be checked by");
                } else if state.keys.as_ref().is_none_or(|(known, _)| self::names(known) != names) {
                    tracing::info!(%url, keys = ?names, "the keys of the issuer");
                }
                state.keys = Some((keys.into(), begun));
            }
            Err(failure) => {
                let kept = state.keys(Instant::now()).is_some();
                let error = &failure as &dyn Error;
                tracing::warn!(%url, error, kept, "the keys of the issuer could not be fetched");
            }
        }
    }
}

impl State {
    /// The keys that count, if there are any.
    fn keys(&self, now: Instant) -> Option<Arc<[VerifyingKey]>> {
        let age = self.age(now)?;
        self.keys.as_ref().filter(|_| age < KEPT_FOR).map(|(keys, _)| keys.clone())
    }

    /// How old the keys are.
    fn age(&self, now: Instant) -> Option<Duration> {
        self.keys.as_ref().map(|(_, since)| now.saturating_duration_since(*since))
    }

    fn unavailable(&self, now: Instant) -> BackendError {
        let pause = self.begun.map_or(Duration::ZERO, |begun| (begun + PAUSE).saturating_duration_since(now));
        BackendError {
            kind: BackendErrorKind::Unavailable,
            adapter: "jwks",
            operation: "fetch the keys of the issuer",
            outcome: Outcome::NotApplied,
            retry_after: Some(pause.max(Duration::from_secs(1))),
            source: None,
        }
    }
}

/// The key of this name for this algorithm.
fn find<'a>(keys: &'a [VerifyingKey], kid: &str, algorithm: Algorithm) -> Option<&'a VerifyingKey> {
    keys.iter().find(|key| key.algorithm() == algorithm && key.kid() == Some(kid))
}

fn names(keys: &[VerifyingKey]) -> Vec<&str> {
    keys.iter().filter_map(VerifyingKey::kid).collect()
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Jwks").field(&self.0.source.to_string()).finish()
    }
}
