use std::sync::Arc;

use alm_core::{
    Alm, Context, Error,
    domain::{EventType, Password, PasswordHash},
    ports::AuthError,
    services::IssuedTokens,
    testing::{Call, Fault, Faulty, Gate, ManualClock, Operation, inspect::log_of},
};
use alm_store_memory::MemoryStore;
use tokio::task::JoinSet;

use super::given::{Given, PASSWORD, TOKEN, builder, carol, is_refused};
use crate::given::keyed;

#[tokio::test]
async fn a_refresh_token_counts_once_and_gives_another() {
    let given = Given::new().await;
    let first = given.login().await;
    let second = given.refresh(&first).await.unwrap();
    assert_ne!(first.refresh_token, second.refresh_token);
    let third = given.refresh(&second).await.unwrap();
    // Access tokens of the same session count until they expire.
    for tokens in [&first, &second, &third] {
        assert!(given.counts(tokens).await);
    }
}

#[tokio::test]
async fn a_refresh_token_that_is_shown_again_ends_the_session() {
    for used in 0..3 {
        let given = Given::new().await;
        let mut family = vec![given.login().await];
        for _ in 0..3 {
            let next = given.refresh(family.last().unwrap()).await.unwrap();
            family.push(next);
        }
        let other = given.login().await;
        assert!(is_refused(given.refresh(&family[used]).await));
        for tokens in &family {
            assert!(!given.counts(tokens).await && is_refused(given.refresh(tokens).await));
        }
        assert!(given.counts(&other).await, "another session goes on");
        let log = log_of(given.alm.store().as_ref()).await;
        let ended = log.iter().find(|event| event.data.event_type() == Some(EventType::SessionEnded)).unwrap();
        assert_eq!(ended.data.to_json()["reason"], "replay");
    }
}

#[tokio::test]
async fn who_knows_the_name_of_a_session_cannot_end_it() {
    let given = Given::new().await;
    let tokens = given.login().await;
    let session = given.alm.authenticate(&tokens.access_token).await.unwrap().credential.unwrap();
    let made_up = format!("almr_{}{}", session.get().simple(), "0".repeat(64));
    let answer = given.alm.sessions().refresh(&Context::anonymous(), &made_up).await;
    assert!(is_refused(answer.map(drop)));
    assert!(given.counts(&tokens).await);
    given.refresh(&tokens).await.unwrap();
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused_and_changes_nothing() {
    let given = Given::new().await;
    let tokens = given.login().await;
    let real = tokens.refresh_token.clone().unwrap();
    let upper = real.to_uppercase();
    let long = "almr_".to_owned() + &"0".repeat(10_000);
    for text in [
        "",
        "almr_",
        &real[..real.len() - 1],
        &format!("{real}0"),
        &real[1..],
        &upper,
        &long,
        &tokens.access_token,
        "almr_é",
    ] {
        let answer = given.alm.sessions().refresh(&Context::anonymous(), text).await;
        assert!(is_refused(answer.map(drop)), "{text:?}");
    }
    given.refresh(&tokens).await.unwrap();
}

/// Of those who show the same token at the same time one is a thief, perhaps: no one is left with a session.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_show_one_token_at_once_no_two_get_another() {
    for _ in 0..50 {
        let given = Arc::new(Given::new().await);
        let tokens = given.login().await;
        let mut thieves = JoinSet::new();
        for _ in 0..8 {
            let (given, tokens) = (given.clone(), tokens.clone());
            thieves.spawn(async move { given.refresh(&tokens).await });
        }
        let answers = thieves.join_all().await;
        let got: Vec<IssuedTokens> = answers
            .into_iter()
            .filter_map(|answer| match answer {
                Err(Error::Token(AuthError::Invalid)) => None,
                answer => Some(answer.unwrap()),
            })
            .collect();
        assert!(got.len() <= 1, "{} have got tokens for one", got.len());
        for tokens in got.iter().chain([&tokens]) {
            assert!(!given.counts(tokens).await && is_refused(given.refresh(tokens).await));
        }
    }
}

#[tokio::test]
async fn the_same_request_again_gets_the_same_tokens() {
    let given = Given::new().await;
    let first = given.login().await;
    let shown = first.refresh_token.clone().unwrap();
    let refresh = async |key: &str, request| {
        given.alm.sessions().refresh(&keyed(Context::anonymous(), key, request), &shown).await
    };
    let second = refresh("a", 1).await.unwrap();
    let again = refresh("a", 1).await.unwrap();
    assert!(!second.replayed && again.replayed);
    assert_eq!(second.value, again.value);
    assert!(matches!(refresh("a", 2).await, Err(Error::IdempotencyMismatch)));
    given.refresh(&again.value).await.unwrap();
    // Under another key it is the token that was used.
    assert!(is_refused(refresh("b", 1).await.map(drop)));
    assert!(!given.counts(&second.value).await);
}

/// One process has refreshed and the client, who has not heard of it yet, asks another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_request_at_two_processes_at_once_ends_no_session() {
    for _ in 0..50 {
        let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(1_800_000_000_000_000));
        let [one, other] = [(); 2].map(|()| builder(store.clone(), clock.clone()).build());
        let given = Given { alm: one.clone(), clock };
        given.create().await;
        let shown = given.login().await.refresh_token.unwrap();
        let refresh = |alm: Alm| {
            let shown = shown.clone();
            tokio::spawn(async move { alm.sessions().refresh(&keyed(Context::anonymous(), "a", 1), &shown).await })
        };
        let (first, second) = tokio::join!(refresh(one), refresh(other));
        let (first, second) = (first.unwrap().unwrap().value, second.unwrap().unwrap().value);
        assert_eq!(first, second);
        given.refresh(&first).await.unwrap();
    }
}

/// The slower of two processes has made tokens of a session of its own, which never was.
#[tokio::test]
async fn of_two_processes_that_log_in_by_one_key_at_once_the_slower_gives_a_token_that_counts() {
    let (store, clock, gate) = (Arc::new(MemoryStore::new()), ManualClock::at(1_800_000_000_000_000), Gate::closed());
    let given = Given { alm: builder(store.clone(), clock.clone()).build(), clock: clock.clone() };
    given.create().await;
    let held = gate.clone();
    let plan = move |call: &Call<'_>| match call.operation {
        Operation::Commit => Fault::Hold(held.clone()),
        _ => Fault::None,
    };
    let slow = builder(Arc::new(Faulty::over(store, plan)), clock).build();
    let login = async |alm: &Alm| {
        let password = Password::attempt(PASSWORD).unwrap();
        alm.sessions().login(&keyed(Context::anonymous(), "a", 1), &carol(), &password).await.unwrap()
    };
    let meanwhile = async {
        gate.holds(1).await;
        let faster = login(&given.alm).await;
        gate.open();
        faster
    };
    let (slower, faster) = tokio::join!(login(&slow), meanwhile);
    assert!(slower.replayed && !faster.replayed);
    assert!(given.counts(&slower.value).await && given.counts(&faster.value).await);
    assert_eq!(slower.value.access_token, faster.value.access_token);
    assert!(slower.value.refresh_token.is_none());
}

#[tokio::test]
async fn an_answer_that_is_asked_for_late_has_a_token_that_counts() {
    let given = Given::new().await;
    let shown = given.login().await.refresh_token.unwrap();
    let refresh = async || {
        let cx = keyed(Context::anonymous(), "a", 1);
        given.alm.sessions().refresh(&cx, &shown).await.unwrap().value
    };
    let first = refresh().await;
    given.passes(TOKEN + 60);
    let late = refresh().await;
    assert!(!given.counts(&first).await && given.counts(&late).await);
    assert_eq!(first.refresh_token, late.refresh_token);
}

#[tokio::test]
async fn a_log_in_that_is_answered_again_tells_no_refresh_token() {
    let given = Given::new().await;
    let password = Password::attempt(PASSWORD).unwrap();
    let cx = keyed(Context::anonymous(), "a", 1);
    let first = given.alm.sessions().login(&cx, &carol(), &password).await.unwrap();
    let again = given.alm.sessions().login(&cx, &carol(), &password).await.unwrap();
    assert!(again.replayed);
    assert_eq!(first.value.access_token, again.value.access_token);
    assert!(first.value.refresh_token.is_some() && again.value.refresh_token.is_none());
    given.set_password().await;
    let later = given.alm.sessions().login(&cx, &carol(), &password).await;
    assert!(matches!(later, Err(Error::IdempotencyMismatch)), "the account is another");
}

#[tokio::test]
async fn a_password_that_was_hashed_otherwise_is_hashed_anew_at_a_log_in() {
    let given = Given::new().await;
    let old = PasswordHash::new(format!("$old${}", PASSWORD.chars().rev().collect::<String>()));
    let first = given.login().await;
    let record = given.alm.store().user(&carol()).await.unwrap().unwrap();
    let stamp = alm_core::testing::fixtures::stamp(0);
    let change = alm_core::changeset::Change::login_failed(&carol());
    let changeset = alm_core::changeset::Changeset::of(stamp, change, alm_core::testing::fixtures::event_id());
    given.alm.store().commit(changeset.rehashing(&carol(), record.password_hash, old.clone())).await.unwrap();
    given.login().await;
    let hashed = given.alm.store().user(&carol()).await.unwrap().unwrap().password_hash;
    assert_ne!(hashed, old);
    given.login().await;
    let kept = given.alm.store().user(&carol()).await.unwrap().unwrap().password_hash;
    assert_eq!(hashed, kept, "once is enough");
    assert!(given.counts(&first).await, "it is the same password");
}
