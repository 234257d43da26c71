//! How often one may try to log in.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{
    domain::{Holder, Rejected, Timestamp, Username},
    ports::{Bucket, CredentialFilter, Rate},
};

use super::{Alm, Error, sessions::MAX_SESSIONS};

/// How many attempts to log in are let through. They are counted in the store, so by all processes on it together. IPv6 addresses count
/// by their /64, which one host has for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoginLimits {
    /// From one address to whichever accounts.
    pub per_address: Rate,
    /// From one address to one account; to the account from anywhere when no address is known.
    pub per_account_and_address: Rate,
    /// From all addresses together to one account, but for those from which someone has logged in to it and has a session: whoever
    /// guesses can keep its owner out nowhere but where the owner has not been lately.
    pub per_account: Rate,
}

const fn rate(burst: u32, seconds: u64) -> Rate {
    let burst = match NonZeroU32::new(burst) {
        Some(burst) => burst,
        None => NonZeroU32::MIN,
    };
    Rate { burst, interval: Duration::from_secs(seconds) }
}

impl Default for LoginLimits {
    /// 60 attempts from an address, then one a second; 10 of them at one account, then one in 6 s; 100 at an account from anywhere,
    /// then one in 2 s.
    fn default() -> Self {
        Self { per_address: rate(60, 1), per_account_and_address: rate(10, 6), per_account: rate(100, 2) }
    }
}

impl LoginLimits {
    /// Sets what is let through from one address.
    #[must_use]
    pub fn per_address(mut self, rate: Rate) -> Self {
        self.per_address = rate;
        self
    }

    /// Sets what is let through from one address to one account.
    #[must_use]
    pub fn per_account_and_address(mut self, rate: Rate) -> Self {
        self.per_account_and_address = rate;
        self
    }

    /// Sets what is let through to one account.
    #[must_use]
    pub fn per_account(mut self, rate: Rate) -> Self {
        self.per_account = rate;
        self
    }
}

/// What counts as one address: an IPv4 address, also one that is written as IPv6, or the /64 of an IPv6 address.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The most refusals that are remembered.
const MOST_REFUSED: usize = 10_000;

/// Until when buckets are known to let nothing through. Time alone empties them, so until then the store need not be asked: whoever floods
/// it with attempts that are refused costs it nothing.
#[derive(Debug, Default)]
pub(super) struct Refused(Mutex<HashMap<Bucket, Timestamp>>);

impl Refused {
    fn until(&self, bucket: &Bucket, rate: Rate, now: Timestamp) -> Option<Timestamp> {
        let refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Later than a bucket takes to empty is what a clock said that was ahead.
        let latest = now.micros().saturating_add(rate.depth_micros());
        refused.get(bucket).copied().filter(|until| now < *until && until.micros() <= latest)
    }

    fn note(&self, bucket: Bucket, until: Timestamp, now: Timestamp) {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() >= MOST_REFUSED {
            refused.retain(|_, until| now < *until);
        }
        if refused.len() < MOST_REFUSED {
            refused.insert(bucket, until);
        }
    }
}

impl Alm {
    /// Counts an attempt to log in to `account` from `network`.
    pub(super) async fn attempt(&self, account: &Username, network: Option<IpAddr>) -> Result<(), Error> {
        let LoginLimits { per_address, per_account_and_address, per_account } = self.inner.login_limits;
        // The address comes first: else one address could fill the store with made-up accounts.
        let Some(network) = network else {
            return self.admit(format!("login/account {account} anywhere"), per_account_and_address).await;
        };
        self.admit(format!("login/address {network}"), per_address).await?;
        self.admit(format!("login/account {account} address {network}"), per_account_and_address).await?;
        match self.admit(format!("login/account {account}"), per_account).await {
            Err(Error::Throttled { .. }) if self.knows(account, network).await? => Ok(()),
            answer => answer,
        }
    }

    async fn admit(&self, bucket: String, rate: Rate) -> Result<(), Error> {
        let bucket = Bucket::parse(bucket).map_err(|Rejected { .. }| Error::Busy)?;
        let now = self.now();
        let throttled = |next: Timestamp| {
            let micros = next.micros().saturating_sub(now.micros());
            Error::Throttled { retry_after: Duration::from_micros(u64::try_from(micros).unwrap_or_default()) }
        };
        if let Some(next) = self.inner.refused.until(&bucket, rate, now) {
            return Err(throttled(next));
        }
        self.inner.store.admit(&bucket, rate, now).await?.map_err(|next| {
            self.inner.refused.note(bucket, next, now);
            throttled(next)
        })
    }

    /// Whether there is a session of `account` that was opened from `network`.
    async fn knows(&self, account: &Username, network: IpAddr) -> Result<bool, Error> {
        let filter = CredentialFilter::SessionsOf(account.clone());
        let sessions = self.inner.store.credentials(&filter, None, MAX_SESSIONS).await?;
        Ok(sessions.iter().any(|session| match &session.holder {
            Holder::Session(of) => of.address == Some(network) && session.counts(self.now()),
            Holder::ApiKey(_) => false,
        }))
    }
}
