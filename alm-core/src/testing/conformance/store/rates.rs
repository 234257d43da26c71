//! How often something may be tried.

use std::time::Duration;

use crate::{
    domain::Timestamp,
    ports::{Bucket, Rate, Store},
    testing::{conformance::must::Must, fixtures::at},
};

use super::{given::at_once, subject::Subject};

fn bucket(name: &str) -> Bucket {
    Bucket::parse(name).expect("a name")
}

fn rate(burst: u32, seconds: u64) -> Rate {
    Rate { burst: burst.try_into().expect("at least one"), interval: Duration::from_secs(seconds) }
}

async fn admit(store: &dyn Store, name: &str, rate: Rate, now: Timestamp) -> Result<(), Timestamp> {
    store.admit(&bucket(name), rate, now).await.must("count an attempt")
}

pub(super) async fn a_bucket_lets_a_burst_through_and_then_goes_by_the_rate(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    let rate = rate(3, 10);
    let second = |seconds: i64| at(1_800_000_000_000_000).plus_seconds(seconds);
    // By the port's own rule, at times that go on, stand and go back.
    let mut full_at = None;
    for now in [0, 0, 0, 0, 1, 9, 10, 10, 11, 20, 45, 45, 45, 45, 44, 1_000, 1_000, 1_000, 1_000] {
        let expected = rate.admit(full_at, second(now));
        let answer = admit(store, "login/192.0.2.1", rate, second(now)).await;
        assert_eq!(answer, expected.map(drop), "at {now} s");
        full_at = expected.ok().or(full_at);
    }
    assert_eq!(admit(store, "login/192.0.2.1", rate, second(1_000)).await, Err(second(1_010)));
    // Of a clock that was ahead only as much counts as the bucket holds.
    assert_eq!(admit(store, "login/192.0.2.1", rate, second(500)).await, Err(second(510)));
    assert_eq!(admit(store, "login/192.0.2.1", rate, second(510)).await, Err(second(520)));
}

pub(super) async fn buckets_do_not_mix(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    let (rate, now) = (rate(1, 1_000), at(5));
    let longest = "é".repeat(400);
    for name in ["a", "A", "a ", "login/ada@x 2001:db8::", &longest] {
        assert_eq!(admit(store, name, rate, now).await, Ok(()), "{name}");
    }
    for name in ["a", "A", "a ", "login/ada@x 2001:db8::", &longest] {
        assert_eq!(admit(store, name, rate, now).await, Err(now.plus_seconds(1_000)), "{name}");
    }
    // Others that are used and not filled any more go, and take none along that is.
    for number in 0..20 {
        assert_eq!(admit(store, &format!("{number}"), self::rate(1, 1), at(6 + number)).await, Ok(()));
    }
    assert!(admit(store, "a", rate, now.plus_seconds(999)).await.is_err());
    assert_eq!(admit(store, "a", rate, now.plus_seconds(1_000)).await, Ok(()));
}

pub(super) async fn of_many_attempts_at_once_no_more_than_the_burst_are_let_through(subject: Subject) {
    let handles = subject.rivals().await;
    for round in 0..5 {
        let name = format!("login/{round}");
        let attempts = handles.iter().cycle().take(24).map(|handle| {
            let (handle, bucket) = (handle.clone(), bucket(&name));
            async move { handle.admit(&bucket, rate(7, 1_000), at(5)).await }
        });
        let answers = at_once(attempts).await;
        let let_through = answers.into_iter().filter(|answer| answer.as_ref().must("count an attempt").is_ok()).count();
        assert_eq!(let_through, 7, "of 24 attempts at once, where 7 are let through");
    }
}
