//! When the keys of an issuer are fetched, and what counts meanwhile.

use futures_util::future::join_all;

use super::{issuer::*, signers::*, *};

/// In seconds.
const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// Who checks tokens by what the issuer publishes, and by a secret of its own.
fn trusting(issuer: &Issuer) -> Jwt {
    jwt().with_jwks(Jwks::new(&issuer.url(), None).unwrap())
}

async fn told(jwt: &Jwt, token: &str) -> &'static str {
    jwt.authenticate(token, at(NOW)).await.map_or_else(|error| error.code(), |_| "ok")
}

#[tokio::test]
async fn keys_are_fetched_for_the_first_token_and_used_for_those_after_it() {
    let issuer = Issuer::publishing(&[p256().jwk("p"), rsa().jwk("r"), ed25519().jwk("e")]).await;
    let jwt = trusting(&issuer);
    assert_eq!(issuer.asked(), 0);
    for token in [p256().named("p"), rsa().named("r"), ed25519().named("e"), p256().named("p")] {
        assert_eq!(told(&jwt, &token).await, "ok");
    }
    assert_eq!(told(&jwt, &other_p256().named("p")).await, "invalid-token", "it is signed by another");
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn nothing_is_fetched_for_a_token_that_no_published_key_could_have_signed() {
    let issuer = Issuer::publishing(&[p256().jwk("1")]).await;
    let jwt = trusting(&issuer).also_accepting([ed25519().key()]).unwrap();
    assert_eq!(told(&jwt, &jwt.sign(&new_claims(&[])).unwrap()).await, "ok", "the secret's own");
    assert_eq!(told(&jwt, &ed25519().named("1")).await, "ok", "of a key that is set");
    for refused in [
        signed_with(Algorithm::HS256, &[7; 32], r#"{"alg":"HS256","kid":"1"}"#, &claims()),
        p256().signed(r#"{"alg":"ES256"}"#),
        p256().signed(r#"{"alg":"none","kid":"1"}"#),
        p256().signed(r#"{"alg":"ES384","kid":"1"}"#),
        p256().signed(r#"{"alg":"ES256","kid":"1","crit":["kid"]}"#),
    ] {
        assert_eq!(told(&jwt, &refused).await, "invalid-token");
    }
    assert_eq!(issuer.asked(), 0);
}

#[tokio::test]
async fn the_address_of_keys_in_a_token_is_not_looked_at() {
    let (issuer, forger) =
        (Issuer::publishing(&[p256().jwk("1")]).await, Issuer::publishing(&[other_p256().jwk("1")]).await);
    let jwt = trusting(&issuer);
    for kid in ["1", "2"] {
        let header = json!({ "alg": "ES256", "kid": kid, "jku": forger.url(), "x5u": forger.url(), "jwk": other_p256().jwk(kid) });
        assert_eq!(told(&jwt, &other_p256().signed(&header.to_string())).await, "invalid-token");
    }
    assert_eq!(forger.asked(), 0);
}

#[tokio::test]
async fn all_who_need_the_keys_at_the_same_time_wait_for_one_fetch() {
    let issuer = Issuer::silent().await;
    let jwt = trusting(&issuer);
    let tokens: Vec<String> = (0..40).map(|number| p256().named(if number % 2 == 0 { "1" } else { "2" })).collect();
    let checks = join_all(tokens.iter().map(|token| told(&jwt, token)));
    let answer = async {
        issuer.is_asked(1).await;
        // All have been polled by now, for they are of one task with this.
        issuer.publishes(&[p256().jwk("1")]);
    };
    let (outcomes, ()) = tokio::join!(checks, answer);
    for (number, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(outcome, if number % 2 == 0 { "ok" } else { "invalid-token" });
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn whatever_tokens_come_there_is_one_fetch_a_minute() {
    let issuer = Issuer::publishing(&[p256().jwk("1")]).await;
    let jwt = trusting(&issuer);
    for minute in 1..=3 {
        for number in 0..20 {
            assert_eq!(told(&jwt, &p256().named(&format!("unknown {number}"))).await, "invalid-token");
            assert_eq!(told(&jwt, &p256().named("1")).await, "ok");
        }
        assert_eq!(issuer.asked(), minute);
        after(MINUTE / 2).await;
        assert_eq!(told(&jwt, &p256().named("unknown")).await, "invalid-token");
        assert_eq!(issuer.asked(), minute, "it is not over yet");
        after(MINUTE / 2).await;
    }
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_end_the_fetch() {
    let issuer = Issuer::silent().await;
    let jwt = trusting(&issuer);
    let token = p256().named("1");
    tokio::select! {
        _ = told(&jwt, &token) => panic!("there are no keys yet"),
        () = issuer.is_asked(1) => {}
    }
    issuer.publishes(&[p256().jwk("1")]);
    assert_eq!(told(&jwt, &token).await, "ok");
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_new_key_counts_within_a_minute_and_one_that_is_withdrawn_no_more() {
    let issuer = Issuer::publishing(&[p256().jwk("old")]).await;
    let jwt = trusting(&issuer);
    assert_eq!(told(&jwt, &p256().named("old")).await, "ok");
    issuer.publishes(&[other_p256().jwk("new")]);
    assert_eq!(told(&jwt, &other_p256().named("new")).await, "invalid-token", "the minute is not over");
    after(MINUTE).await;
    assert_eq!(told(&jwt, &other_p256().named("new")).await, "ok");
    assert_eq!(told(&jwt, &p256().named("old")).await, "invalid-token");
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn a_key_may_be_replaced_under_its_name() {
    let issuer = Issuer::publishing(&[p256().jwk("1")]).await;
    let jwt = trusting(&issuer);
    assert_eq!(told(&jwt, &p256().named("1")).await, "ok");
    issuer.publishes(&[other_p256().jwk("1")]);
    after(20 * MINUTE).await;
    assert_eq!(told(&jwt, &p256().named("1")).await, "invalid-token");
    assert_eq!(told(&jwt, &other_p256().named("1")).await, "ok");
}

#[tokio::test]
async fn keys_in_use_are_refreshed_after_ten_minutes_while_tokens_go_on_to_count() {
    let issuer = Issuer::publishing(&[p256().jwk("1")]).await;
    let jwt = trusting(&issuer);
    assert_eq!(told(&jwt, &p256().named("1")).await, "ok");
    issuer.hangs();
    after(5 * MINUTE).await;
    assert_eq!(told(&jwt, &p256().named("1")).await, "ok");
    assert_eq!(issuer.asked(), 1);
    after(5 * MINUTE).await;
    for _ in 0..10 {
        assert_eq!(told(&jwt, &p256().named("1")).await, "ok", "no one waits");
    }
    issuer.is_asked(2).await;
    issuer.publishes(&[]);
    alm_test_support::eventually("the key is withdrawn", async || {
        (told(&jwt, &p256().named("1")).await == "invalid-token").then_some(())
    })
    .await;
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn after_twenty_minutes_without_use_the_first_token_waits_for_the_keys() {
    let issuer = Issuer::publishing(&[p256().jwk("1")]).await;
    let jwt = trusting(&issuer);
    assert_eq!(told(&jwt, &p256().named("1")).await, "ok");
    issuer.hangs();
    after(20 * MINUTE).await;
    let token = p256().named("1");
    let checks = join_all([told(&jwt, &token), told(&jwt, &token)]);
    let answer = async {
        issuer.is_asked(2).await;
        issuer.publishes(&[]);
    };
    let (outcomes, ()) = tokio::join!(checks, answer);
    assert_eq!(outcomes, ["invalid-token", "invalid-token"], "it was withdrawn");
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn keys_go_on_to_count_for_a_day_while_the_issuer_is_down() {
    let issuer = Issuer::publishing(&[p256().jwk("1")]).await;
    let jwt = trusting(&issuer);
    assert_eq!(told(&jwt, &p256().named("1")).await, "ok");
    issuer.fails();
    after(DAY - 10 * MINUTE).await;
    assert_eq!(told(&jwt, &p256().named("1")).await, "ok");
    assert_eq!(issuer.asked(), 2);
    assert_eq!(told(&jwt, &p256().named("unknown")).await, "invalid-token");
    assert_eq!(issuer.asked(), 2, "a failed one counts for the minute");
    after(10 * MINUTE).await;
    assert_eq!(told(&jwt, &p256().named("1")).await, "backend");
    assert_eq!(issuer.asked(), 3);
    issuer.publishes(&[p256().jwk("1")]);
    after(MINUTE).await;
    assert_eq!(told(&jwt, &p256().named("1")).await, "ok", "it is back");
}

#[tokio::test]
async fn without_keys_tokens_of_the_issuer_are_neither_accepted_nor_refused() {
    let issuer = Issuer::silent().await;
    issuer.fails();
    let jwt = trusting(&issuer);
    for _ in 0..3 {
        let error = jwt.authenticate(&p256().named("1"), at(NOW)).await.unwrap_err();
        let AuthError::Backend(error) = error else { panic!("{error}") };
        assert!(error.is_retryable());
        assert!((MINUTE / 2..=MINUTE).contains(&error.retry_after.unwrap().as_secs()), "{error:?}");
    }
    assert_eq!(issuer.asked(), 1);
    assert_eq!(told(&jwt, &signed(USUAL, &claims())).await, "ok", "the secret's own need no issuer");
    issuer.publishes(&[p256().jwk("1")]);
    after(MINUTE).await;
    assert_eq!(told(&jwt, &p256().named("1")).await, "ok");
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn an_issuer_that_hangs_is_given_up_after_five_seconds() {
    let issuer = Issuer::silent().await;
    let jwt = trusting(&issuer);
    let token = p256().named("1");
    let check = told(&jwt, &token);
    let pass = async {
        issuer.is_asked(1).await;
        after(5).await;
    };
    assert_eq!(tokio::join!(check, pass).0, "backend");
}

#[tokio::test]
async fn keys_may_be_fetched_before_the_first_token_comes() {
    let issuer = Issuer::publishing(&[p256().jwk("1")]).await;
    let jwks = Jwks::new(&issuer.url(), None).unwrap();
    for _ in 0..3 {
        jwks.prefetch();
    }
    issuer.is_asked(1).await;
    assert_eq!(told(&jwt().with_jwks(jwks.clone()), &p256().named("1")).await, "ok");
    jwks.prefetch();
    assert_eq!(told(&jwt().with_jwks(jwks), &p256().named("1")).await, "ok", "clones share them");
    assert_eq!(issuer.asked(), 1);
}

#[test]
fn outside_of_a_runtime_nothing_is_fetched() {
    let jwks = Jwks::new("http://localhost:1/", None).unwrap();
    jwks.prefetch();
    let told = jwt().with_jwks(jwks).authenticate(&p256().named("1"), at(NOW)).now_or_never().unwrap();
    assert_eq!(told.unwrap_err().code(), "backend");
}
