use alm_core::{
    Error,
    domain::{EventType, Password, Role},
    ports::CredentialFilter,
    services::MAX_SESSIONS,
    testing::inspect::{log_of, settle},
};
use serde_json::json;

use super::given::{Given, PASSWORD, SESSION, TOKEN, carol, is_refused};
use crate::given::{admin, subjects};

#[tokio::test]
async fn a_log_in_gives_what_the_account_has() {
    let given = Given::new().await;
    given.set_role(Role::Deployer, &["auditor", "user:7"]).await;
    let principal = given.alm.authenticate(&given.login().await.access_token).await.unwrap();
    assert_eq!((principal.name.as_str(), principal.role), ("carol", Role::Deployer));
    assert_eq!(Vec::from_iter(&principal.scopes), ["auditor", "user:7"]);
    assert!(principal.credential.is_some());
}

/// Each way to end a session ends it from one request to the next, without any consumer at work.
#[tokio::test]
async fn what_ends_a_session_ends_all_of_its_tokens_at_once() {
    for way in ["logout", "role", "grants", "password", "delete", "make anew"] {
        let given = Given::new().await;
        let tokens = given.login().await;
        let other = given.login().await;
        assert!(given.counts(&tokens).await);
        match way {
            "logout" => given.logout(&tokens).await,
            "role" => given.set_role(Role::Viewer, &[]).await,
            "grants" => given.set_role(Role::User, &["auditor"]).await,
            "password" => given.set_password().await,
            _ => given.delete().await,
        }
        if way == "make anew" {
            given.create().await;
        }
        assert!(!given.counts(&tokens).await, "{way}: the access token");
        assert!(is_refused(given.refresh(&tokens).await), "{way}: the refresh token");
        assert_eq!(given.counts(&other).await, way == "logout", "{way}: another session");
        if !["delete", "make anew"].contains(&way) {
            let again = given.login().await;
            assert!(given.counts(&again).await, "{way}: a new session");
        }
    }
}

#[tokio::test]
async fn what_changes_nothing_ends_nothing() {
    let given = Given::new().await;
    let tokens = given.login().await;
    given.set_role(Role::User, &[]).await;
    assert!(given.counts(&tokens).await);
}

#[tokio::test]
async fn who_has_changed_the_own_password_logs_in_again() {
    let given = Given::new().await;
    let tokens = given.login().await;
    let carol_herself = given.acting(&tokens).await;
    let password = Password::parse(PASSWORD).unwrap();
    given.alm.accounts().set_password(&carol_herself, &carol(), &password, None).await.unwrap();
    assert!(!given.counts(&tokens).await);
    let again = given.login().await;
    assert!(given.counts(&again).await);
}

#[tokio::test]
async fn an_access_token_expires_and_a_session_too() {
    let given = Given::new().await;
    let tokens = given.login().await;
    given.passes(TOKEN + 31);
    assert!(!given.counts(&tokens).await);
    let tokens = given.refresh(&tokens).await.unwrap();
    given.passes(SESSION - TOKEN - 40);
    let last = given.refresh(&tokens).await.unwrap();
    assert!(given.counts(&last).await);
    // The token would count for longer, but its session does not.
    given.passes(30);
    assert!(!given.counts(&last).await);
    assert!(is_refused(given.refresh(&last).await));
}

#[tokio::test]
async fn a_token_of_no_session_cannot_be_logged_out() {
    let given = Given::new().await;
    assert!(matches!(given.alm.sessions().logout(&admin()).await, Err(Error::NoSession)));
}

#[tokio::test]
async fn the_oldest_session_makes_room_when_there_are_too_many() {
    let given = Given::new().await;
    let first = given.login().await;
    for _ in 1..MAX_SESSIONS {
        given.passes(1);
        given.login().await;
    }
    assert!(given.counts(&first).await);
    given.passes(1);
    let last = given.login().await;
    assert!(!given.counts(&first).await && given.counts(&last).await);
    let sessions = given.alm.store().credentials(&CredentialFilter::SessionsOf(carol()), None, 1_000).await.unwrap();
    assert_eq!(sessions.len(), MAX_SESSIONS);
    // What has expired is cleared away by and by.
    given.passes(SESSION);
    for _ in 0..20 {
        given.login().await;
    }
    let sessions = given.alm.store().credentials(&CredentialFilter::SessionsOf(carol()), None, 1_000).await.unwrap();
    assert_eq!(sessions.len(), 20);
}

#[tokio::test]
async fn each_session_that_an_account_outlives_is_told_of() {
    // given
    let given = Given::new().await;
    for _ in 0..3 {
        given.login().await;
    }
    settle(&given.alm, &[]).await;
    given.set_password().await;
    let kept = given.login().await;

    // when
    settle(&given.alm, &[]).await;

    // then
    let log = log_of(given.alm.store().as_ref()).await;
    assert_eq!(subjects(&log, EventType::SessionEnded), ["users/carol"; 3]);
    let ended: Vec<_> = log.iter().filter(|event| event.data.event_type() == Some(EventType::SessionEnded)).collect();
    assert!(ended.iter().all(|event| event.data.to_json()["reason"] == json!("account_changed")));
    assert!(ended.iter().all(|event| event.actor.as_str() == "ada"), "by who has changed the account");
    assert!(given.counts(&kept).await);
    let sessions = given.alm.store().credentials(&CredentialFilter::SessionsOf(carol()), None, 10).await.unwrap();
    assert_eq!(sessions.len(), 1);

    // and when the account is gone
    given.delete().await;
    settle(&given.alm, &[]).await;
    let log = log_of(given.alm.store().as_ref()).await;
    assert_eq!(subjects(&log, EventType::SessionEnded).len(), 4);
}

#[tokio::test]
async fn no_secret_is_in_the_log() {
    let given = Given::new().await;
    let tokens = given.login().await;
    let next = given.refresh(&tokens).await.unwrap();
    given.logout(&next).await;
    settle(&given.alm, &[]).await;
    let told: String =
        log_of(given.alm.store().as_ref()).await.iter().map(|event| event.data.to_json().to_string()).collect();
    for tokens in [&tokens, &next] {
        let refresh = tokens.refresh_token.as_deref().unwrap();
        assert!(!told.contains(&refresh[5..37]) && !told.contains(&refresh[37..]), "{told}");
        assert!(!told.contains(&tokens.access_token));
        assert!(!format!("{tokens:?}").contains(refresh) && !format!("{tokens:?}").contains(&tokens.access_token));
    }
}
