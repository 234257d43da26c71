//! How often one may try to log in, by the store that all processes share.

use std::{net::IpAddr, sync::Arc, time::Duration};

use alm_core::{Alm, Context, Error, domain::Password, domain::Username, services::LoginLimits, testing::ManualClock};
use alm_store_memory::MemoryStore;

use super::given::{Given, PASSWORD, builder};

/// Two processes on one store, with the account `carol` and the default limits.
async fn two() -> (Alm, Alm, Arc<ManualClock>) {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(1_800_000_000_000_000));
    let alm = || builder(store.clone(), clock.clone()).login_limits(LoginLimits::default()).build();
    let (alm, other) = (alm(), alm());
    let given = Given { alm: alm.clone(), clock: clock.clone() };
    given.create().await;
    (alm, other, clock)
}

async fn login(alm: &Alm, name: &str, from: Option<&str>, password: &str) -> Result<(), Error> {
    let address = from.map(|address| address.parse::<IpAddr>().unwrap());
    let cx = Context::anonymous().with_address(address);
    let (name, password) = (Username::parse(name).unwrap(), Password::attempt(password).unwrap());
    alm.sessions().login(&cx, &name, &password).await.map(drop)
}

/// How many guesses are let through until the first that is not, and when the next may be made.
async fn guesses(processes: &[&Alm], name: &str, from: Option<&str>) -> (usize, Duration) {
    for (count, alm) in processes.iter().cycle().enumerate().take(1_000) {
        match login(alm, name, from, "guess").await {
            Err(Error::WrongCredentials) => {}
            Err(Error::Throttled { retry_after }) => return (count, retry_after),
            answer => panic!("{answer:?}"),
        }
    }
    panic!("a thousand guesses are let through")
}

#[tokio::test]
async fn attempts_are_counted_by_all_processes_on_a_store_together() {
    let (alm, other, clock) = two().await;
    let here = Some("192.0.2.1");
    assert_eq!(guesses(&[&alm, &other], "carol", here).await, (10, Duration::from_secs(6)));
    assert!(matches!(login(&other, "carol", here, PASSWORD).await, Err(Error::Throttled { .. })), "also the right one");
    clock.move_by(4_000_000);
    assert_eq!(guesses(&[&other], "carol", here).await, (0, Duration::from_secs(2)));
    clock.move_by(2_000_000);
    assert_eq!(guesses(&[&other], "carol", here).await.0, 1);
    clock.move_by(600_000_000);
    login(&alm, "carol", here, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn what_is_refused_is_not_recorded_and_not_hashed() {
    let (alm, _, _) = two().await;
    guesses(&[&alm], "carol", Some("192.0.2.1")).await;
    let before = alm.store().head().await.unwrap();
    guesses(&[&alm], "carol", Some("192.0.2.1")).await;
    assert_eq!(alm.store().head().await.unwrap(), before);
}

#[tokio::test]
async fn an_address_has_sixty_attempts_at_whichever_accounts() {
    let (alm, other, clock) = two().await;
    let here = Some("192.0.2.1");
    for n in 0..60 {
        let answer = login([&alm, &other][n % 2], &format!("user{n}"), here, "guess").await;
        assert!(matches!(answer, Err(Error::WrongCredentials)));
    }
    assert_eq!(guesses(&[&alm], "carol", here).await, (0, Duration::from_secs(1)));
    clock.move_by(1_000_000);
    assert_eq!(guesses(&[&alm], "carol", here).await.0, 1);
    login(&alm, "carol", Some("192.0.2.2"), PASSWORD).await.unwrap();
}

#[tokio::test]
async fn addresses_of_one_network_are_one() {
    let (alm, _, _) = two().await;
    assert_eq!(guesses(&[&alm], "carol", Some("2001:db8:0:1::1")).await.0, 10);
    assert_eq!(guesses(&[&alm], "carol", Some("2001:db8:0:1:ffff::2")).await.0, 0);
    assert_eq!(guesses(&[&alm], "carol", Some("2001:db8:0:2::1")).await.0, 10);
    assert_eq!(guesses(&[&alm], "carol", Some("192.0.2.1")).await.0, 10);
    assert_eq!(guesses(&[&alm], "carol", Some("::ffff:192.0.2.1")).await.0, 0);
    assert_eq!(guesses(&[&alm], "carol", None).await.0, 10);
}

/// Whoever guesses from everywhere slows down the owner where he has never been, and nowhere else.
#[tokio::test]
async fn no_one_can_lock_an_owner_out() {
    let (alm, other, clock) = two().await;
    let (home, away) = (Some("198.51.100.7"), Some("203.0.113.9"));
    login(&alm, "carol", home, PASSWORD).await.unwrap();
    let mut let_through = 0;
    for n in 0..200 {
        match login(&other, "carol", Some(&format!("192.0.2.{n}")), "guess").await {
            Err(Error::WrongCredentials) => let_through += 1,
            Err(Error::Throttled { .. }) => {}
            answer => panic!("{answer:?}"),
        }
    }
    assert_eq!(let_through, 99, "a hundred from anywhere, and one was the owner's");
    login(&other, "carol", home, PASSWORD).await.unwrap();
    assert!(matches!(login(&other, "carol", away, PASSWORD).await, Err(Error::Throttled { .. })));
    // Another account is another's.
    assert!(matches!(login(&other, "bob", away, "guess").await, Err(Error::WrongCredentials)));
    clock.move_by(2_000_000);
    login(&other, "carol", away, PASSWORD).await.unwrap();
}
