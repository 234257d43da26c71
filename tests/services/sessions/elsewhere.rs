use std::sync::Arc;

use alm_core::{
    Alm, Context, Error,
    domain::{NewApiKey, NewUser, Password, Role},
    ports::AuthError,
    services::Precondition,
    testing::{ManualClock, MemoryBus},
};
use alm_store_memory::MemoryStore;
use alm_test_support::eventually;

use super::given::{PASSWORD, builder, carol};
use crate::{
    distributed::system::{name, run, services},
    given::admin,
};

/// The accounts here, and two services that know of them by what they hear.
#[tokio::test]
async fn what_is_over_where_the_accounts_are_is_over_elsewhere_once_it_is_heard() {
    let (bus, clock) = (Arc::new(MemoryBus::new()), ManualClock::at(1_800_000_000_000_000));
    let service = |names: &str| {
        let alm = builder(Arc::new(MemoryStore::new()), clock.clone());
        alm.services(services(names)).bus(bus.clone()).inbox(name(&names.replace(',', "-"))).build()
    };
    let (app, version, audit) = (service("app,auth"), service("version"), service("audit"));
    let _running = [&app, &version, &audit].map(run);
    let refused = async |alm: &Alm, token: &str| match alm.authenticate(token).await {
        Ok(_) => None,
        Err(Error::Token(AuthError::Invalid)) => Some(()),
        Err(error) => panic!("{error}"),
    };
    let new = NewUser::parse("carol".into(), PASSWORD.into(), Role::User, &[]).unwrap();
    app.accounts().create(&admin(), new).await.unwrap();
    let login = async || {
        let password = Password::attempt(PASSWORD).unwrap();
        app.sessions().login(&Context::anonymous(), &carol(), &password).await.unwrap().value
    };

    let (out, demoted, gone) = (login().await, login().await, login().await);
    let new = NewApiKey::parse("ci".into(), Role::Viewer, &[], 1).unwrap();
    let key = app.api_keys().create(&admin(), new).await.unwrap().value;
    let by_key = app.api_keys().exchange(&key.key.clone().unwrap()).await.unwrap();
    for tokens in [&out, &demoted, &gone, &by_key] {
        assert!(refused(&version, &tokens.access_token).await.is_none());
        assert!(refused(&audit, &tokens.access_token).await.is_none());
    }
    assert!(refused(&version, &key.key.unwrap()).await.is_some(), "the key itself is known where the accounts are");

    let acting = Context::new(app.authenticate(&out.access_token).await.unwrap());
    app.sessions().logout(&acting).await.unwrap();
    for alm in [&version, &audit] {
        eventually("a log-out is heard", async || refused(alm, &out.access_token).await).await;
        assert!(refused(alm, &demoted.access_token).await.is_none(), "another session goes on");
    }
    let update = alm_core::domain::UserUpdate { role: Role::Viewer, grants: std::collections::BTreeSet::new() };
    app.accounts().update(&admin(), &carol(), update, &Precondition::none()).await.unwrap();
    app.api_keys().revoke(&admin(), key.credential.id).await.unwrap();
    for alm in [&version, &audit] {
        for tokens in [&demoted, &gone, &by_key] {
            eventually("what has ended is heard", async || refused(alm, &tokens.access_token).await).await;
        }
    }
    let again = login().await;
    assert!(refused(&version, &again.access_token).await.is_none());
}
