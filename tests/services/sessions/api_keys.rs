use alm_core::{
    Error,
    domain::{CredentialId, NewApiKey, Role},
    ports::{AuthError, Unique},
    services::{Created, IssuedApiKey, Limit},
    testing::inspect::{log_of, settle},
};

use super::given::{Given, is_refused};
use crate::given::{admin, keyed, user};

fn new_key(name: &str) -> NewApiKey {
    NewApiKey::parse(name.into(), Role::Viewer, &["deployer:7/prod".into()], 1).unwrap()
}

async fn key(given: &Given, name: &str) -> (CredentialId, String) {
    let created = given.alm.api_keys().create(&admin(), new_key(name)).await.unwrap();
    shown(created)
}

fn shown(created: Created<IssuedApiKey>) -> (CredentialId, String) {
    (created.value.credential.id, created.value.key.unwrap())
}

async fn counts(given: &Given, key: &str) -> bool {
    !is_refused(given.alm.authenticate(key).await)
}

#[tokio::test]
async fn a_key_acts_under_its_name_with_what_it_was_given() {
    let given = Given::new().await;
    let (id, key) = key(&given, "ci").await;
    let principal = given.alm.authenticate(&key).await.unwrap();
    assert_eq!((principal.name.as_str(), principal.role, principal.credential), ("key:ci", Role::Viewer, Some(id)));
    assert_eq!(Vec::from_iter(&principal.scopes), ["deployer:7/prod"]);
}

#[tokio::test]
async fn a_key_counts_until_it_expires_or_is_revoked_and_so_do_its_tokens() {
    let given = Given::new().await;
    let (_, short) = key(&given, "short").await;
    let (id, gone) = key(&given, "gone").await;
    let token = given.alm.api_keys().exchange(&gone).await.unwrap();
    assert_eq!(token.refresh_token, None);
    let by_token = given.alm.authenticate(&token.access_token).await.unwrap();
    assert_eq!(by_token, given.alm.authenticate(&gone).await.unwrap());
    given.alm.api_keys().revoke(&admin(), id).await.unwrap();
    assert!(!counts(&given, &gone).await && !counts(&given, &token.access_token).await);
    assert!(is_refused(given.alm.api_keys().exchange(&gone).await));
    assert!(matches!(given.alm.api_keys().revoke(&admin(), id).await, Err(Error::NotFound(_))));
    given.passes(86_399);
    assert!(counts(&given, &short).await);
    given.passes(2);
    assert!(matches!(given.alm.authenticate(&short).await, Err(Error::Token(AuthError::Expired))));
    let listed = given.alm.api_keys().list(&admin(), None, Limit::default()).await.unwrap();
    assert_eq!(listed.items.len(), 1, "one that has expired is still told of");
}

#[tokio::test]
async fn a_key_that_was_rotated_counts_for_the_grace_and_no_longer() {
    let given = Given::new().await;
    let (id, first) = key(&given, "ci").await;
    let rotate = async |grace| shown(given.alm.api_keys().rotate(&admin(), id, grace).await.unwrap());
    let (same, second) = rotate(60).await;
    assert_eq!(same, id);
    assert!(counts(&given, &first).await && counts(&given, &second).await);
    given.passes(61);
    assert!(!counts(&given, &first).await && counts(&given, &second).await);
    let (_, third) = rotate(60).await;
    let (_, fourth) = rotate(0).await;
    for (key, expected) in [(&first, false), (&second, false), (&third, false), (&fourth, true)] {
        assert_eq!(counts(&given, key).await, expected);
    }
}

#[tokio::test]
async fn a_token_for_a_key_expires_no_later_than_what_it_was_got_with() {
    let given = Given::new().await;
    let (id, first) = key(&given, "ci").await;
    given.alm.api_keys().rotate(&admin(), id, 60).await.unwrap();
    let token = given.alm.api_keys().exchange(&first).await.unwrap();
    assert!((59..=60).contains(&token.expires_in), "{}", token.expires_in);
    given.passes(60 + 31);
    assert!(!counts(&given, &token.access_token).await);
}

#[tokio::test]
async fn a_key_is_told_once() {
    let given = Given::new().await;
    let first = given.alm.api_keys().create(&keyed(admin(), "a", 1), new_key("ci")).await.unwrap();
    let again = given.alm.api_keys().create(&keyed(admin(), "a", 1), new_key("ci")).await.unwrap();
    assert!(again.replayed);
    assert_eq!((again.value.credential, again.value.key), (first.value.credential.clone(), None));
    let id = first.value.credential.id;
    let rotated = given.alm.api_keys().rotate(&keyed(admin(), "a", 1), id, 0).await.unwrap();
    let again = given.alm.api_keys().rotate(&keyed(admin(), "a", 1), id, 0).await.unwrap();
    assert!(again.replayed && again.value.key.is_none());
    assert!(counts(&given, &rotated.value.key.unwrap()).await, "it was rotated once");
    // The same idempotency key for another key is another request.
    let (other, _) = key(&given, "other").await;
    assert!(!given.alm.api_keys().rotate(&keyed(admin(), "a", 1), other, 0).await.unwrap().replayed);
    settle(&given.alm, &[]).await;
    let told: String =
        log_of(given.alm.store().as_ref()).await.iter().map(|event| event.data.to_json().to_string()).collect();
    assert!(!told.contains(&first.value.key.unwrap()[36..]));
}

#[tokio::test]
async fn a_wrong_key_counts_for_nothing_and_ends_nothing() {
    let given = Given::new().await;
    let (_, key) = key(&given, "ci").await;
    let wrong = format!("{}{}", &key[..key.len() - 1], if key.ends_with('0') { '1' } else { '0' });
    let of_no_one = format!("alm_{}{}", "0".repeat(32), &key[36..]);
    let session = given.login().await.refresh_token.unwrap();
    for text in [&wrong, &of_no_one, &key.to_uppercase(), &key[..99], &format!("{key}0"), &session] {
        assert!(!counts(&given, text).await, "{text}");
    }
    assert!(counts(&given, &key).await);
}

#[tokio::test]
async fn names_are_unique_and_admins_alone_make_keys() {
    let given = Given::new().await;
    let (id, _) = key(&given, "ci").await;
    let taken = given.alm.api_keys().create(&admin(), new_key("ci")).await;
    assert!(matches!(taken, Err(Error::AlreadyExists(Unique::ApiKeyName(_)))));
    let keys = given.alm.api_keys();
    assert!(matches!(keys.create(&user(), new_key("mine")).await, Err(Error::Denied { .. })));
    assert!(matches!(keys.list(&user(), None, Limit::default()).await, Err(Error::Denied { .. })));
    assert!(matches!(keys.get(&user(), id).await, Err(Error::Denied { .. })));
    assert!(matches!(keys.rotate(&user(), id, 0).await, Err(Error::Denied { .. })));
    assert!(matches!(keys.revoke(&user(), id).await, Err(Error::Denied { .. })));
    // A session is no key, whatever it is called.
    let session = given.alm.authenticate(&given.login().await.access_token).await.unwrap().credential.unwrap();
    assert!(matches!(keys.revoke(&admin(), session).await, Err(Error::NotFound(_))));
    assert!(matches!(keys.get(&admin(), session).await, Err(Error::NotFound(_))));
}
