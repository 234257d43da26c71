//! Passwords: argon2id, off the async threads and only so many at a time.

use std::{fmt, hint::black_box, sync::Arc};

use alm_core::{
    domain::{Password, PasswordHash},
    ports::{BackendError, BackendErrorKind, Outcome, PasswordError, PasswordHasher},
};
use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::{self, phc},
};
use async_trait::async_trait;
use tokio::{sync::Semaphore, task::spawn_blocking};

/// How many may wait for their turn; at some twenty a second and thread, whoever comes later is better off trying again.
const MAX_WAITING: usize = 64;
/// The salt of what is hashed in place of a hash that does not exist.
const NO_SALT: &[u8; 16] = b"there is no hash";

/// Hashes passwords with argon2id by OWASP's minimum (19 MiB, 2 passes, 1 lane).
///
/// Each hash takes tens of milliseconds of a blocking thread and that much memory, so only so many are made at a time. Some
/// more may wait; whoever comes then is told [`PasswordError::Busy`] at once. It needs a tokio runtime.
pub struct Argon2Hasher {
    argon2: Argon2<'static>,
    /// Room for who waits and for who has a turn.
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Argon2Hasher {
    /// Hashes up to `max_parallel` passwords at a time, at least one.
    pub fn new(max_parallel: usize) -> Self {
        Self::with(max_parallel, Params::default())
    }

    /// The same at another cost: a tiny one for tests, a lower or higher one for a host that knows better. What was hashed at
    /// one cost can be verified at any other.
    ///
    /// # Errors
    /// It is no cost that argon2 knows: at least one pass and one lane, and 8 KiB of memory for each lane.
    pub fn with_params(max_parallel: usize, memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, InvalidCost> {
        let params = Params::new(memory_kib, passes, lanes, None).map_err(InvalidCost)?;
        Ok(Self::with(max_parallel, params))
    }

    fn with(max_parallel: usize, params: Params) -> Self {
        let turns = max_parallel.clamp(1, Semaphore::MAX_PERMITS - MAX_WAITING);
        Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            places: Arc::new(Semaphore::new(turns + MAX_WAITING)),
            turns: Arc::new(Semaphore::new(turns)),
        }
    }

    /// Does `work` on a blocking thread when it has its turn.
    async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Argon2<'static>) -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| PasswordError::Busy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| PasswordError::Busy)?;
        let argon2 = self.argon2.clone();
        let done = spawn_blocking(move || {
            // The work goes on when the caller goes away, so it is the work that holds the turn.
            let _held = (place, turn);
            work(&argon2)
        });
        let outcome = done.await.map_err(|error| {
            let kind = if error.is_panic() { BackendErrorKind::Internal } else { BackendErrorKind::Unavailable };
            fault(kind, operation).with_source(error)
        })?;
        Ok(outcome?)
    }
}

impl Default for Argon2Hasher {
    /// Two at a time.
    fn default() -> Self {
        Self::new(2)
    }
}

impl fmt::Debug for Argon2Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Argon2Hasher").field("argon2", &self.argon2).finish_non_exhaustive()
    }
}

#[async_trait]
impl PasswordHasher for Argon2Hasher {
    async fn hash(&self, password: &Password) -> Result<PasswordHash, PasswordError> {
        let password = password.clone();
        self.run("hash", move |argon2| {
            let hash = argon2.hash_password(password.expose().as_bytes()).map_err(|error| failed("hash", error))?;
            Ok(PasswordHash::new(hash.to_string()))
        })
        .await
    }

    async fn verify(&self, password: &Password, hash: Option<&PasswordHash>) -> Result<bool, PasswordError> {
        let (password, hash) = (password.clone(), hash.cloned());
        self.run("verify", move |argon2| {
            if let Some(hash) = hash {
                return verify(argon2, &password, &hash);
            }
            // The work of verifying is that of hashing with the salt and the cost of the hash.
            let hash = argon2.hash_password_with_salt(password.expose().as_bytes(), NO_SALT);
            black_box(hash).map_err(|error| failed("verify", error))?;
            Ok(false)
        })
        .await
    }

    fn is_outdated(&self, hash: &PasswordHash) -> bool {
        let Ok(hash) = phc::PasswordHash::new(hash.as_str()) else { return true };
        let now = self.argon2.params();
        let same = Params::try_from(&hash).is_ok_and(|params| {
            (params.m_cost(), params.t_cost(), params.p_cost()) == (now.m_cost(), now.t_cost(), now.p_cost())
        });
        let algorithm = Algorithm::new(hash.algorithm.as_str());
        !(same && algorithm == Ok(Algorithm::Argon2id) && hash.version == Some(Version::V0x13.into()))
    }
}

fn verify(argon2: &Argon2<'static>, password: &Password, hash: &PasswordHash) -> Result<bool, BackendError> {
    let corrupt = || BackendError::corrupt("argon2", "verify");
    let hash = phc::PasswordHash::new(hash.as_str()).map_err(|error| corrupt().with_source(error))?;
    // Without these two argon2 would call every password wrong.
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err(corrupt().with_source("the hash has no salt or no output"));
    }
    match argon2.verify_password(password.expose().as_bytes(), &hash) {
        Ok(()) => Ok(true),
        Err(password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(failed("verify", error)),
    }
}

fn failed(operation: &'static str, error: password_hash::Error) -> BackendError {
    let kind = match error {
        password_hash::Error::OutOfMemory => BackendErrorKind::Overloaded,
        password_hash::Error::Crypto | password_hash::Error::Internal | password_hash::Error::RngFailure => {
            BackendErrorKind::Internal
        }
        // The rest says that the hash asks for what argon2 does not have.
        _ => BackendErrorKind::Corrupt,
    };
    fault(kind, operation).with_source(error)
}

fn fault(kind: BackendErrorKind, operation: &'static str) -> BackendError {
    BackendError { kind, adapter: "argon2", operation, outcome: Outcome::NotApplied, retry_after: None, source: None }
}

/// A cost that argon2 can't have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("argon2 can't be used at this cost: {0}")]
pub struct InvalidCost(argon2::Error);

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use futures_util::FutureExt;

    use super::*;

    fn cheap(max_parallel: usize) -> Argon2Hasher {
        Argon2Hasher::with_params(max_parallel, 8, 1, 1).unwrap()
    }

    fn password(text: &str) -> Password {
        Password::attempt(text).unwrap()
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_or_algorithm_is_outdated() {
        let (one, two) = (cheap(1), Argon2Hasher::with_params(1, 16, 1, 1).unwrap());
        let hash = one.hash(&password("correct horse")).await.unwrap();
        assert!(!one.is_outdated(&hash) && two.is_outdated(&hash));
        for other in [hash.as_str().replace("argon2id", "argon2i"), hash.as_str().replace("v=19", "v=16"), "x".into()] {
            assert!(one.is_outdated(&PasswordHash::new(other.clone())), "{other}");
        }
    }

    #[tokio::test]
    async fn the_right_password_is_told_from_a_wrong_one_at_whatever_cost() {
        let hash = cheap(1).hash(&password("correct horse")).await.unwrap();
        for hasher in [cheap(1), Argon2Hasher::with_params(1, 16, 2, 2).unwrap()] {
            assert!(hasher.verify(&password("correct horse"), Some(&hash)).await.unwrap());
            assert!(!hasher.verify(&password("correct house"), Some(&hash)).await.unwrap());
        }
        assert_ne!(cheap(1).hash(&password("correct horse")).await.unwrap(), hash, "each has a salt of its own");
    }

    #[tokio::test]
    async fn the_default_cost_is_the_minimum_of_owasp() {
        let hash = Argon2Hasher::default().hash(&password("correct horse")).await.unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    }

    #[tokio::test]
    async fn without_a_hash_it_does_the_same_work_and_is_wrong() {
        let hasher = cheap(1);
        let (release, released) = mpsc::channel::<()>();
        let mut busy = Box::pin(hasher.run("test", move |_| Ok(released.recv().is_err())));
        assert!(busy.as_mut().now_or_never().is_none());

        // Were it answered without the work, it would not wait for its turn to do it.
        let password = password("x");
        let mut unknown = Box::pin(hasher.verify(&password, None));
        assert!(unknown.as_mut().now_or_never().is_none());
        drop(release);
        assert!(!unknown.await.unwrap());
    }

    #[tokio::test]
    async fn what_is_no_hash_is_corrupt() {
        for text in [
            "",
            "plain",
            "$argon2id$v=19$m=8,t=1,p=1",
            "$argon2id$v=19$m=8,t=1,p=1$dGhlcmUgaXMgbm8gaGFzaA",
            "$argon2id$v=19$m=1,t=1,p=1$dGhlcmUgaXMgbm8gaGFzaA$dGhlcmUgaXMgbm8gaGFzaA",
            "$scrypt$ln=1,r=8,p=1$dGhlcmUgaXMgbm8gaGFzaA$dGhlcmUgaXMgbm8gaGFzaA",
        ] {
            let error = cheap(1).verify(&password("x"), Some(&PasswordHash::new(text))).await.unwrap_err();
            let PasswordError::Backend(error) = error else { panic!("{text}: {error}") };
            assert_eq!(error.kind, BackendErrorKind::Corrupt, "{text}: {error}");
        }
    }

    #[tokio::test]
    async fn when_too_many_wait_the_next_is_refused_at_once() {
        let hasher = cheap(1);
        let (release, released) = mpsc::channel::<()>();
        let busy = hasher.run("test", move |_| Ok(released.recv().is_err()));
        let mut busy = Box::pin(busy);
        assert!(busy.as_mut().now_or_never().is_none());

        let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| hasher.hash(&PASSWORD)).collect();
        assert!(waiting.iter_mut().all(|hash| hash.now_or_never().is_none()));
        assert!(matches!(hasher.hash(&PASSWORD).now_or_never(), Some(Err(PasswordError::Busy))));

        drop(waiting.pop());
        let mut next = hasher.hash(&PASSWORD);
        assert!((&mut next).now_or_never().is_none(), "whoever stops waiting leaves a place");

        drop(release);
        assert!(busy.await.unwrap());
        for hash in waiting {
            hash.await.unwrap();
        }
        next.await.unwrap();
    }

    #[tokio::test]
    async fn work_that_no_one_waits_for_keeps_its_turn_until_it_is_done() {
        let hasher = cheap(1);
        let (release, released) = mpsc::channel::<()>();
        let given_up = hasher.run("test", move |_| Ok(released.recv().is_err()));
        assert!(given_up.now_or_never().is_none());
        assert_eq!(hasher.turns.available_permits(), 0);
        drop(release);
        tokio::time::timeout(Duration::from_secs(10), hasher.hash(&PASSWORD)).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_a_fault_and_gives_the_turn_back() {
        let hasher = cheap(1);
        let error = hasher.run::<()>("test", |_| panic!("on purpose")).await.unwrap_err();
        assert!(matches!(error, PasswordError::Backend(error) if error.kind == BackendErrorKind::Internal));
        hasher.hash(&PASSWORD).await.unwrap();
    }

    static PASSWORD: std::sync::LazyLock<Password> = std::sync::LazyLock::new(|| password("correct horse"));
}
