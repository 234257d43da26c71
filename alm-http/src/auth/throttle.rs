//! How often one may try to log in.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use alm_core::domain::Username;
use governor::{
    Quota, RateLimiter,
    clock::{Clock, MonotonicClock},
    middleware::NoOpMiddleware,
    state::keyed::HashMapStateStore,
};

/// With fewer keys than this nothing is tidied up.
const FEW_KEYS: usize = 10_000;

/// How many attempts are let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So many at once.
    pub burst: NonZeroU32,
    /// Then one each time this has passed.
    pub interval: Duration,
}

/// What a [`LoginThrottle`] lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThrottleConfig {
    /// From one address to one account; to the account from anywhere when no address is known.
    pub per_account: Rate,
    /// From one address to whichever accounts.
    pub per_address: Rate,
}

impl Default for ThrottleConfig {
    /// 10 attempts at an account, then one in 6 s; 60 attempts from an address, then one a second.
    fn default() -> Self {
        Self {
            per_account: Rate { burst: const { NonZeroU32::new(10).unwrap() }, interval: Duration::from_secs(6) },
            per_address: Rate { burst: const { NonZeroU32::new(60).unwrap() }, interval: Duration::from_secs(1) },
        }
    }
}

impl ThrottleConfig {
    /// Sets what is let through from one address to one account.
    #[must_use]
    pub fn per_account(mut self, rate: Rate) -> Self {
        self.per_account = rate;
        self
    }

    /// Sets what is let through from one address.
    #[must_use]
    pub fn per_address(mut self, rate: Rate) -> Self {
        self.per_address = rate;
        self
    }
}

/// Slows down whoever guesses passwords, without letting anyone lock an account for others: attempts are counted by the
/// address they come from. IPv6 addresses count by their /64, which one host has for itself.
///
/// It remembers no more than the attempts of the last minutes (as long as the [`Rate`]s take to recover).
#[derive(Debug)]
pub struct LoginThrottle(Limits<MonotonicClock>);

impl LoginThrottle {
    /// Lets through what `config` says.
    pub fn new(config: ThrottleConfig) -> Self {
        Self(Limits::new(config, &MonotonicClock))
    }

    /// Counts an attempt.
    ///
    /// # Errors
    /// There were too many; the next may be made after this time.
    pub fn check(&self, account: &Username, address: Option<IpAddr>) -> Result<(), Duration> {
        self.0.check(account, address)
    }
}

impl Default for LoginThrottle {
    fn default() -> Self {
        Self::new(ThrottleConfig::default())
    }
}

#[derive(Debug)]
struct Limits<C: Clock> {
    by_account: Limit<(Username, Option<IpAddr>), C>,
    by_address: Limit<IpAddr, C>,
}

impl<C: Clock + Clone> Limits<C> {
    fn new(config: ThrottleConfig, clock: &C) -> Self {
        Self {
            by_account: Limit::new(config.per_account, clock.clone()),
            by_address: Limit::new(config.per_address, clock.clone()),
        }
    }

    fn check(&self, account: &Username, address: Option<IpAddr>) -> Result<(), Duration> {
        let address = address.map(network);
        // The address comes first: else one address could fill the memory with made-up accounts.
        if let Some(address) = address {
            self.by_address.check(&address)?;
        }
        self.by_account.check(&(account.clone(), address))
    }
}

/// What counts as one address.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// One rate for each key.
#[derive(Debug)]
struct Limit<K: Clone + Eq + Hash, C: Clock> {
    limiter: RateLimiter<K, HashMapStateStore<K>, C, NoOpMiddleware<C::Instant>>,
    /// With how many keys to tidy up next.
    tidy_at: AtomicUsize,
}

impl<K: Clone + Eq + Hash, C: Clock> Limit<K, C> {
    fn new(rate: Rate, clock: C) -> Self {
        Self { limiter: RateLimiter::hashmap_with_clock(quota(rate), clock), tidy_at: AtomicUsize::new(FEW_KEYS) }
    }

    fn check(&self, key: &K) -> Result<(), Duration> {
        let outcome = self.limiter.check_key(key);
        self.tidy_up();
        outcome.map_err(|refused| refused.wait_time_from(self.limiter.clock().now()))
    }

    /// Forgets the keys that are as good as new. The next time is when there are twice as many as were left, so that each
    /// attempt pays for a constant share of it.
    fn tidy_up(&self) {
        if self.limiter.len() >= self.tidy_at.load(Ordering::Relaxed) {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
            self.tidy_at.store((2 * self.limiter.len()).max(FEW_KEYS), Ordering::Relaxed);
        }
    }
}

fn quota(Rate { burst, interval }: Rate) -> Quota {
    // Governor counts nanoseconds in 64 bits, without looking whether they suffice.
    let longest = Duration::from_nanos(u64::MAX / 4) / burst.get();
    let interval = interval.min(longest).max(Duration::from_nanos(1));
    Quota::with_period(interval).map_or_else(|| Quota::per_second(burst), |quota| quota.allow_burst(burst))
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn throttle() -> (Limits<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Limits::new(ThrottleConfig::default(), &clock), clock)
    }

    fn name(text: impl Into<String>) -> Username {
        Username::parse(text).unwrap()
    }

    fn address(text: &str) -> Option<IpAddr> {
        text.parse().map(Some).unwrap()
    }

    /// How many attempts are let through until the first that is not.
    fn let_through(throttle: &Limits<FakeRelativeClock>, account: &str, from: Option<IpAddr>) -> usize {
        (0..1000).take_while(|_| throttle.check(&name(account), from).is_ok()).count()
    }

    #[test]
    fn an_account_takes_ten_attempts_from_an_address_then_one_in_six_seconds() {
        let (throttle, clock) = throttle();
        let here = address("192.0.2.1");
        assert_eq!(let_through(&throttle, "ada", here), 10);
        assert_eq!(throttle.check(&name("ada"), here), Err(Duration::from_secs(6)));
        clock.advance(Duration::from_secs(4));
        assert_eq!(throttle.check(&name("ada"), here), Err(Duration::from_secs(2)));
        clock.advance(Duration::from_secs(2));
        assert_eq!(let_through(&throttle, "ada", here), 1);
        clock.advance(Duration::from_mins(10));
        assert_eq!(let_through(&throttle, "ada", here), 10);
    }

    #[test]
    fn no_one_locks_an_account_for_another_address_nor_another_account() {
        let (throttle, _) = throttle();
        assert_eq!(let_through(&throttle, "ada", address("192.0.2.1")), 10);
        assert_eq!(let_through(&throttle, "ada", address("192.0.2.2")), 10);
        assert_eq!(let_through(&throttle, "bob", address("192.0.2.1")), 10);
    }

    #[test]
    fn an_address_has_sixty_attempts_at_whichever_accounts_then_one_a_second() {
        let (throttle, clock) = throttle();
        let here = address("192.0.2.1");
        let attempts = (0..1000).take_while(|n| throttle.check(&name(format!("user{n}")), here).is_ok()).count();
        assert_eq!(attempts, 60);
        assert_eq!(throttle.check(&name("ada"), here), Err(Duration::from_secs(1)));
        clock.advance(Duration::from_secs(1));
        assert_eq!(let_through(&throttle, "ada", here), 1);
    }

    #[test]
    fn without_an_address_the_account_alone_counts() {
        let (throttle, _) = throttle();
        assert_eq!(let_through(&throttle, "ada", None), 10);
        assert_eq!(let_through(&throttle, "bob", None), 10);
        assert_eq!(let_through(&throttle, "ada", address("192.0.2.1")), 10);
    }

    #[test]
    fn ipv6_counts_by_the_64_and_mapped_ipv4_as_ipv4() {
        let (throttle, _) = throttle();
        assert_eq!(let_through(&throttle, "ada", address("2001:db8:0:1::1")), 10);
        assert_eq!(let_through(&throttle, "ada", address("2001:db8:0:1:ffff::2")), 0);
        assert_eq!(let_through(&throttle, "ada", address("2001:db8:0:2::1")), 10);
        assert_eq!(let_through(&throttle, "ada", address("192.0.2.1")), 10);
        assert_eq!(let_through(&throttle, "ada", address("::ffff:192.0.2.1")), 0);
        assert_eq!(let_through(&throttle, "ada", address("::ffff:192.0.2.2")), 10);
    }

    #[test]
    fn keys_that_do_not_matter_any_more_are_forgotten() {
        let (throttle, clock) = throttle();
        let guess = |range: std::ops::Range<u32>| {
            for n in range {
                throttle.check(&name(format!("user{n}")), Some(IpAddr::V4(n.into()))).unwrap();
            }
        };
        let few = u32::try_from(FEW_KEYS).unwrap();
        guess(0..2 * few - 1);
        assert_eq!(throttle.by_account.limiter.len(), 2 * FEW_KEYS - 1, "what still matters is kept");
        clock.advance(Duration::from_hours(1));
        guess(2 * few..2 * few + 1);
        assert_eq!(throttle.by_account.limiter.len(), 1);
        assert_eq!(throttle.by_address.limiter.len(), 1);
    }

    #[test]
    fn no_rate_is_too_odd() {
        for (burst, interval, attempts) in [
            (NonZeroU32::MIN, Duration::ZERO, 1000),
            (NonZeroU32::MAX, Duration::ZERO, 1000),
            (NonZeroU32::MIN, Duration::MAX, 1),
            (NonZeroU32::MAX, Duration::MAX, 1000),
        ] {
            let rate = Rate { burst, interval };
            let clock = FakeRelativeClock::default();
            let throttle = Limits::new(ThrottleConfig::default().per_account(rate).per_address(rate), &clock);
            let tick = || clock.advance(Duration::from_nanos(1));
            let let_through =
                (0..1000).take_while(|_| throttle.check(&name("ada"), address("::1")).map(|()| tick()).is_ok());
            assert_eq!(let_through.count(), attempts, "{rate:?}");
        }
    }
}
