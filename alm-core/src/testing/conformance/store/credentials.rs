//! Sessions and API keys.

use crate::{
    changeset::Change,
    domain::{ApiKeyName, Credential, CredentialId, Holder, PasswordHash, SessionEnd, Subject as About, Timestamp},
    ports::{CredentialFilter, HeldCredential, Store, Unique},
    testing::{
        conformance::must::Must,
        fixtures::{account, api_key, at, credential_id as id, of, secret_hash as hash, session, username},
    },
};

use super::{
    given::failed,
    paging::is_listed,
    refusal::{Refusal, is_refused, one_wins},
    subject::Subject,
};

async fn committed(store: &dyn Store, change: Change) {
    store.commit(of(change)).await.must("commit a change of a credential");
}

async fn held(store: &dyn Store, id: CredentialId) -> Option<HeldCredential> {
    store.credential(id).await.must("read a credential")
}

async fn listed(store: &dyn Store, filter: &CredentialFilter) -> Vec<Credential> {
    store.credentials(filter, None, 100).await.must("list credentials")
}

fn sessions_of(name: &str) -> CredentialFilter {
    CredentialFilter::SessionsOf(username(name))
}

pub(super) async fn a_credential_reads_back_as_it_was_committed(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    let ada = account("ada");
    committed(store, Change::user_created(&ada)).await;
    assert_eq!(held(store, id(1)).await, None, "there is none yet");
    let of_ada = Credential { created_at: Timestamp::MIN, expires_at: Timestamp::MAX, ..session(u128::MAX, &ada) };
    let key = api_key(1, &format!("9{}", "A-z_.@+".repeat(9)));
    for credential in [&of_ada, &key] {
        committed(store, Change::credential_created(credential)).await;
    }
    let account = Some(ada.user.clone());
    assert_eq!(held(store, of_ada.id).await, Some(HeldCredential { credential: of_ada.clone(), account }));
    assert_eq!(held(store, key.id).await, Some(HeldCredential { credential: key.clone(), account: None }));
    let renewed = key.renewed(hash(3), at(9), at(20));
    committed(store, Change::credential_renewed(&renewed, key.revision)).await;
    let next = of_ada.renewed(hash(4), at(9), at(9));
    committed(store, Change::credential_renewed(&next, of_ada.revision)).await;
    assert_eq!(held(store, key.id).await.map(|held| held.credential), Some(renewed.clone()));
    assert_eq!(listed(store, &CredentialFilter::ApiKeys).await, [renewed]);
    assert_eq!(listed(store, &sessions_of("ada")).await, std::slice::from_ref(&next));
    committed(store, Change::credential_ended(&key, SessionEnd::Logout, at(9))).await;
    assert_eq!(held(store, key.id).await, None, "it is gone");
    assert_eq!(held(store, next.id).await.map(|held| held.credential), Some(next), "another stays");
    assert_eq!(listed(store, &CredentialFilter::ApiKeys).await, []);
}

pub(super) async fn a_session_is_read_with_the_account_as_it_is(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    let ada = account("ada");
    committed(store, Change::user_created(&ada)).await;
    committed(store, Change::user_created(&account("bob"))).await;
    let session = session(1, &ada);
    committed(store, Change::credential_created(&session)).await;
    let Holder::Session(of_account) = &session.holder else { unreachable!("it is a session") };
    let is_current = async || {
        let account = held(store, session.id).await.expect("the session is there").account;
        account.is_some_and(|account| of_account.is_of(&account))
    };
    assert!(is_current().await);
    committed(store, Change::password_changed(&account("bob"), PasswordHash::new("other"))).await;
    assert!(is_current().await, "another account is changed");
    committed(store, Change::password_changed(&ada, PasswordHash::new("other"))).await;
    assert!(!is_current().await, "the password is another");
    committed(store, Change::user_deleted(&username("ada"))).await;
    assert_eq!(held(store, session.id).await.expect("the session is there").account, None);
    // Another account of the same name, at the same revision.
    let mut again = account("ada");
    again.user.created_at = at(50);
    committed(store, Change::user_created(&again)).await;
    assert!(!is_current().await, "the account is another");
}

pub(super) async fn a_credential_is_never_inserted_over_another(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    let key = api_key(1, "ci");
    committed(store, Change::credential_created(&key)).await;
    let again = of(Change::credential_created(&Credential { secret: hash(9), ..api_key(1, "other") }));
    is_refused(store, "insert over a credential", again, Refusal::Taken(Unique::Id(key.subject()))).await;
    let named = of(Change::credential_created(&api_key(2, "ci")));
    let name = ApiKeyName::parse("ci").expect("a name");
    is_refused(store, "take a name that is taken", named, Refusal::Taken(Unique::ApiKeyName(name))).await;
    assert_eq!(listed(store, &CredentialFilter::ApiKeys).await, std::slice::from_ref(&key));
    // Case counts, sessions have no names, and what is gone makes room.
    let ci = account("ci");
    committed(store, Change::user_created(&ci)).await;
    for free in [api_key(3, "CI"), session(4, &ci), session(5, &ci)] {
        committed(store, Change::credential_created(&free)).await;
    }
    committed(store, Change::credential_ended(&key, SessionEnd::Logout, at(9))).await;
    committed(store, Change::credential_created(&api_key(6, "ci"))).await;
}

pub(super) async fn a_credential_is_renewed_only_at_its_revision(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    let key = api_key(1, "ci");
    committed(store, Change::credential_created(&key)).await;
    let (first, second) = (key.renewed(hash(3), at(8), at(8)), key.renewed(hash(4), at(8), at(8)));
    committed(store, Change::credential_renewed(&first, key.revision)).await;
    let stale = of(Change::credential_renewed(&second, key.revision));
    is_refused(store, "renew what was renewed", stale, Refusal::Stale(About::ApiKey(key.id))).await;
    assert_eq!(held(store, key.id).await.map(|held| held.credential), Some(first));
    let missing = api_key(2, "gone");
    let renew = of(Change::credential_renewed(&missing, missing.revision));
    is_refused(store, "renew what is not there", renew, Refusal::Missing(About::ApiKey(missing.id))).await;
    let end = of(Change::credential_ended(&missing, SessionEnd::Logout, at(9)));
    is_refused(store, "end what is not there", end, Refusal::Missing(About::ApiKey(missing.id))).await;
}

pub(super) async fn of_many_who_renew_one_credential_one_does(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    for round in 1..=5 {
        let key = api_key(round, &format!("ci{round}"));
        committed(store, Change::credential_created(&key)).await;
        let rivals: Vec<_> = (10..30).map(|byte| key.renewed(hash(byte), at(8), at(8))).collect();
        let renew = rivals.iter().map(|renewed| of(Change::credential_renewed(renewed, key.revision))).collect();
        let winner = one_wins(&subject, "renew one credential", renew, Refusal::Stale(About::ApiKey(key.id))).await;
        let shown = held(store, key.id).await.map(|held| held.credential);
        assert_eq!(shown.as_ref(), Some(&rivals[winner]), "the secret whose renewal was acknowledged");
    }
}

pub(super) async fn credentials_are_listed_by_id_in_pages(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    let (ada, bob) = (account("ada"), account("bob"));
    let mut all = [7, 2, 9, 4, u128::MAX, 3].map(|number| session(number, &ada)).to_vec();
    all.extend([session(5, &bob), api_key(8, "a"), api_key(6, "b"), api_key(1, "c")]);
    for credential in &all {
        committed(store, Change::credential_created(credential)).await;
    }
    for (filter, what) in [
        (sessions_of("ada"), "the sessions of ada"),
        (sessions_of("bob"), "the session of bob"),
        (sessions_of("eve"), "the sessions of eve, who has none"),
        (CredentialFilter::ApiKeys, "the API keys"),
    ] {
        let mut expected: Vec<_> = all.iter().filter(|credential| filter.matches(credential)).cloned().collect();
        expected.sort_by_key(|credential| credential.id);
        let filter = &filter;
        let read = |after, limit| -> super::paging::Page<'_, Credential> {
            Box::pin(async move { store.credentials(filter, after, limit).await })
        };
        is_listed(what, &expected, |credential| credential.id, read).await;
    }
    // A page may begin where nothing is.
    let after = store.credentials(&sessions_of("ada"), Some(id(5)), 2).await.must("list credentials");
    assert_eq!(after, [session(7, &ada), session(9, &ada)], "the two after a session of someone else");
}

pub(super) async fn a_credential_elsewhere_is_gone_as_long_as_was_told(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    let revoked = async |number| store.is_revoked(id(number)).await.must("ask for a revocation");
    let revoke = async |number, until| {
        store.commit(of(failed()).revoking(id(number), until)).await.must("keep a revocation");
    };
    assert!(!revoked(1).await);
    revoke(1, at(i64::from(i32::MAX))).await;
    revoke(2, Timestamp::MAX).await;
    revoke(1, at(-50)).await;
    // What has expired goes when others come, and takes nothing along.
    for round in 0..2 {
        for number in 10..40 {
            revoke(number, at(-100)).await;
        }
        for number in [1, 2] {
            assert!(revoked(number).await, "what was told later makes it no shorter, in round {round}");
            revoke(number, at(-100)).await;
            assert!(revoked(number).await);
        }
    }
    assert!(!revoked(3).await);
    assert!(!revoked(10).await, "what has expired is not kept for ever");
}
