//! Each mock stands in for its port and answers what it was told to.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use alm_core::{
    Principal,
    changeset::ConsumerName,
    domain::{Known, ParentId, Password, PasswordHash, Position, Subject, Timestamp},
    policy::Action,
    ports::{
        Authenticator, Authorizer, BackendError, BusState, Clock, Committer, CredentialFilter, Decision, Directory,
        EventBus, EventLog, Head, HeldCredential, Ids, Message, PasswordHasher, Place, Reader, Secrets, Store,
        Subscription, Timer, TokenClaims, TokenIssuer,
    },
    runtime::{Consumer, Handled, Handler},
    testing::{
        InstantTimer,
        fixtures::{self, app_id, credential_id, environment, username, version_id},
        mocks::{
            MockAuthenticator, MockAuthorizer, MockClock, MockDirectory, MockEventBus, MockHandler, MockHeads, MockIds,
            MockLease, MockPasswordHasher, MockSecrets, MockStore, MockSubscription, MockTimer, MockTokenIssuer,
        },
    },
};
use alm_store_memory::MemoryStore;

#[tokio::test]
async fn a_store() {
    let mut mock = MockStore::new();
    mock.expect_app().withf(|id| *id == app_id(7)).returning(|_| Ok(Some(fixtures::app(7, "billing"))));
    mock.expect_running().withf(|_, after, _| *after == Some(&environment("dev"))).returning(|_, _, _| Ok(Vec::new()));
    mock.expect_users().withf(|after, limit| after.is_none() && *limit == 3).returning(|_, _| Ok(Vec::new()));
    let held = HeldCredential { credential: fixtures::api_key(1, "ci"), account: None };
    let found = held.clone();
    mock.expect_credential().withf(|id| *id == credential_id(1)).returning(move |_| Ok(Some(found.clone())));
    mock.expect_credentials()
        .withf(|filter, _, _| *filter == CredentialFilter::ApiKeys)
        .returning(|_, _, _| Ok(vec![]));
    mock.expect_is_revoked().returning(|id| Ok(id == credential_id(2)));
    mock.expect_checkpoint().returning(|_, _| Ok(Some(Position::new(5))));
    mock.expect_log_id().return_const(alm_core::testing::strategies::History::LOG);
    mock.expect_head().returning(|| Ok(Position::START));
    let store: Arc<dyn Store> = Arc::new(mock);

    assert_eq!(store.app(app_id(7)).await.unwrap(), Some(fixtures::app(7, "billing")));
    assert_eq!(store.running(app_id(7), Some(&environment("dev")), 1).await.unwrap(), []);
    assert_eq!(store.users(None, 3).await.unwrap(), []);
    assert_eq!(store.credential(credential_id(1)).await.unwrap(), Some(held));
    assert_eq!(store.credentials(&CredentialFilter::ApiKeys, None, 3).await.unwrap(), []);
    assert!(store.is_revoked(credential_id(2)).await.unwrap());
    let at = store.checkpoint(&ConsumerName::parse("reader").unwrap(), store.log_id()).await.unwrap();
    assert_eq!(at, Some(Position::new(5)));
    assert_eq!(store.head().await.unwrap(), Position::START);
}

#[tokio::test]
async fn a_store_that_lends_a_role() {
    let mut mock = MockStore::new();
    mock.expect_known().returning(|_| Ok(Some(Known::Gone)));
    mock.expect_lead().withf(|role| role.as_str() == "relay").times(1).returning(|_| {
        let mut lease = MockLease::new();
        lease.expect_is_held().times(1).return_const(true);
        lease.expect_is_held().return_const(false);
        Ok(Some(Box::new(lease)))
    });
    let store: Arc<dyn Store> = Arc::new(mock);

    assert_eq!(store.known(ParentId::App(app_id(1))).await.unwrap(), Some(Known::Gone));
    let mut lease = store.lead(&ConsumerName::parse("relay").unwrap()).await.unwrap().unwrap();
    assert!(lease.is_held().await);
    assert!(!lease.is_held().await);
}

#[tokio::test]
#[should_panic(expected = "No matching expectation")]
async fn a_call_that_is_not_expected() {
    let store: Arc<dyn Reader> = Arc::new(MockStore::new());
    store.app(app_id(1)).await.unwrap();
}

#[tokio::test]
async fn a_bus_and_its_subscription() {
    let mut mock = MockEventBus::new();
    mock.expect_subscribe().returning(|_| {
        let mut subscription = MockSubscription::new();
        let place = Place { log: alm_core::testing::strategies::History::LOG, position: Position::FIRST };
        let message = move || Message::Unreadable { place, payload: vec![1], reason: "not JSON".to_owned() };
        subscription.expect_next().returning(move |_| {
            Ok(vec![alm_core::ports::Delivery { tag: alm_core::ports::DeliveryTag::new(1), message: message() }])
        });
        subscription.expect_ack().times(1).returning(|_| Ok(()));
        Ok(Box::new(subscription))
    });
    let head = Head { log: alm_core::testing::strategies::History::LOG, position: Position::new(5) };
    mock.expect_heads().returning(move || {
        let mut heads = MockHeads::new();
        heads.expect_next().returning(move || Ok(head));
        Ok(Box::new(heads))
    });
    mock.expect_announce().times(1).withf(move |announced| *announced == head).returning(|_| Ok(()));
    mock.expect_max_event_bytes().return_const(Some(1024));
    mock.expect_state().return_const(BusState::Down);
    let bus: Arc<dyn EventBus> = Arc::new(mock);

    let mut subscription: Box<dyn Subscription> = bus.subscribe(&ConsumerName::parse("reader").unwrap()).await.unwrap();
    let deliveries = subscription.next(10).await.unwrap();
    assert_eq!(deliveries.len(), 1);
    subscription.ack(&[deliveries[0].tag]).await.unwrap();
    bus.announce(head).await.unwrap();
    assert_eq!(bus.heads().await.unwrap().next().await.unwrap(), head);
    assert_eq!((bus.max_event_bytes(), bus.state()), (Some(1024), BusState::Down));
}

#[tokio::test]
async fn identity() {
    let mut mock = MockAuthenticator::new();
    mock.expect_authenticate().withf(|token, _| token == "t").returning(|_, _| Ok(Principal::system()));
    let authenticator: Arc<dyn Authenticator> = Arc::new(mock);
    assert_eq!(authenticator.authenticate("t", Timestamp::MIN).await.unwrap(), Principal::system());

    let mut mock = MockTokenIssuer::new();
    mock.expect_issue().returning(|claims| Ok(claims.principal.name.to_string()));
    let issuer: Arc<dyn TokenIssuer> = Arc::new(mock);
    let claims = TokenClaims {
        id: alm_core::testing::strategies::History::LOG.get(),
        principal: Principal::system(),
        issued_at: Timestamp::MIN,
        expires_at: Timestamp::MAX,
    };
    assert_eq!(issuer.issue(&claims).await.unwrap(), "system");

    let mut mock = MockPasswordHasher::new();
    mock.expect_hash().returning(|password| Ok(PasswordHash::new(password.expose())));
    mock.expect_verify().returning(|password, hash| Ok(hash.is_some_and(|hash| hash.as_str() == password.expose())));
    mock.expect_is_outdated().returning(|hash| hash.as_str().is_empty());
    let hasher: Arc<dyn PasswordHasher> = Arc::new(mock);
    let password = Password::parse("correct horse").unwrap();
    let hash = hasher.hash(&password).await.unwrap();
    assert!(hasher.verify(&password, Some(&hash)).await.unwrap());
    assert!(!hasher.verify(&password, None).await.unwrap());
    assert!(hasher.is_outdated(&PasswordHash::new("")) && !hasher.is_outdated(&hash));

    let mut mock = MockSecrets::new();
    mock.expect_random().returning(|| Ok([7; 32]));
    mock.expect_sha256().withf(|bytes| bytes == b"secret").return_const([8; 32]);
    let secrets: Arc<dyn Secrets> = Arc::new(mock);
    assert_eq!((secrets.random().unwrap(), secrets.sha256(b"secret")), ([7; 32], [8; 32]));

    let mut mock = MockAuthorizer::new();
    mock.expect_authorize().returning(|_, action, _| match action {
        Action::GetApp => Decision::Allowed,
        _ => Decision::Denied,
    });
    let authorizer: Arc<dyn Authorizer> = Arc::new(mock);
    let asked = async |action| authorizer.authorize(&Principal::system(), action, &Subject::Apps.into()).await;
    assert_eq!(asked(Action::GetApp).await, Decision::Allowed);
    assert_eq!(asked(Action::DeleteApp).await, Decision::Denied);
}

#[tokio::test]
async fn a_directory() {
    let mut mock = MockDirectory::new();
    mock.expect_app().returning(|_| Ok(false));
    mock.expect_version().returning(|_| Ok(Some(app_id(1))));
    let directory: Arc<dyn Directory> = Arc::new(mock);
    assert!(!directory.app(app_id(1)).await.unwrap());
    assert_eq!(directory.version(version_id(1)).await.unwrap(), Some(app_id(1)));
}

#[tokio::test]
async fn time_and_ids() {
    let mut mock = MockClock::new();
    mock.expect_now().return_const(Timestamp::MAX);
    let clock: Arc<dyn Clock> = Arc::new(mock);
    assert_eq!(clock.now(), Timestamp::MAX);

    let id = alm_core::testing::strategies::History::LOG.get();
    let mut mock = MockIds::new();
    mock.expect_uuid_v7().return_const(id);
    let ids: Arc<dyn Ids> = Arc::new(mock);
    assert_eq!(ids.uuid_v7(), id);

    let mut mock = MockTimer::new();
    mock.expect_sleep().times(1).withf(|duration| *duration == Duration::from_secs(5)).return_const(());
    let timer: Arc<dyn Timer> = Arc::new(mock);
    timer.sleep(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_handler_is_run_by_a_consumer() {
    let alm = alm_core::Alm::builder(Arc::new(MemoryStore::new())).build();
    alm.store().commit(fixtures::of(alm_core::changeset::Change::login_failed(&username("ada")))).await.unwrap();
    let mut mock = MockHandler::new();
    mock.expect_name().return_const(ConsumerName::parse("mock").unwrap());
    mock.expect_handle().times(1).returning(|events, cx| {
        assert!(cx.now() > Timestamp::MIN);
        Ok(Handled::nothing(events.len()))
    });
    let handler: Arc<dyn Handler> = Arc::new(mock);
    assert_eq!(Consumer::new(alm, handler).catch_up(&InstantTimer).await.unwrap(), Position::new(1));
}

#[tokio::test]
async fn a_log_that_has_lost_its_end_is_read_anew() {
    // given the events of two stores, of which one takes over from the other before anything is committed
    let mut logs = Vec::new();
    for _ in 0..2 {
        let store = MemoryStore::new();
        store.commit(fixtures::of(alm_core::changeset::Change::login_failed(&username("ada")))).await.unwrap();
        logs.push((store.log_id(), store.read(Position::START, 10).await.unwrap()));
    }
    let (lost, kept) = (logs[0].1.clone(), logs[1].1.clone());
    let mut store = MockStore::new();
    store.expect_log_id().return_const(logs[0].0);
    store.expect_checkpoint().returning(|_, _| Ok(None));
    store.expect_oldest().returning(|| Ok(Position::new(1)));
    let mut reads = vec![Vec::new(), kept.clone(), Vec::new(), lost.clone()];
    store.expect_read().returning(move |_, _| Ok(reads.pop().unwrap()));
    let mut commits = 0;
    store.expect_commit().times(2).returning(move |changeset| {
        commits += 1;
        if commits == 1 { Err(BackendError::internal("mock", "commit").into()) } else { Ok(changeset.receipt()) }
    });
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let mut handler = MockHandler::new();
    handler.expect_name().return_const(ConsumerName::parse("mock").unwrap());
    handler.expect_handle().returning(move |events, _| {
        noted.lock().unwrap().push(events[0].event.id);
        Ok(Handled::nothing(events.len()))
    });
    let consumer = Consumer::new(alm_core::Alm::builder(Arc::new(store)).build(), Arc::new(handler));

    // when
    consumer.catch_up(&InstantTimer).await.unwrap_err();
    consumer.catch_up(&InstantTimer).await.unwrap();

    // then
    assert_eq!(*seen.lock().unwrap(), [lost[0].event.id, kept[0].event.id]);
}
