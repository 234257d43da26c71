//! Accounts, log-ins and refusals.

use std::{
    collections::BTreeSet,
    io::Write,
    sync::{Arc, Mutex, atomic::Ordering},
};

use alm_core::{
    Alm, Context, Error,
    domain::{AppId, EventData, Grant, NewUser, Password, Role, User, UserUpdate, Username},
    policy::Action,
    ports::{AppFilter, AuditFilter, Reader, Store},
    services::{IssuedTokens, Limit, Precondition},
    testing::{
        Call, Fault, Faulty, Gate, ManualClock, Operation,
        inspect::{log_of, settle},
    },
};
use alm_http::auth::SystemSecrets;
use alm_store_memory::MemoryStore;
use serde_json::json;
use tracing_subscriber::{filter::LevelFilter, fmt::MakeWriter};

use crate::{
    fakes::{FakeHasher, FakeIssuer, HASH_MARK},
    given::{admin, by, keyed, types_of, user},
    rough_store::rough,
};

const PASSWORD: &str = "correct horse";

fn name(name: &str) -> Username {
    Username::parse(name).unwrap()
}

fn password(text: &str) -> Password {
    Password::parse(text).unwrap()
}

fn new_user(username: &str, password: &str) -> NewUser {
    NewUser::parse(username.to_owned(), password.to_owned(), Role::User, &[]).unwrap()
}

fn alm_with(hasher: Arc<FakeHasher>) -> Alm {
    alm_of(Arc::new(MemoryStore::new()), hasher)
}

fn alm_of(store: Arc<dyn Store>, hasher: Arc<FakeHasher>) -> Alm {
    Alm::builder(store)
        .clock(ManualClock::at(0))
        .password_hasher(hasher)
        .secrets(Arc::new(SystemSecrets))
        .token_issuer(Arc::new(FakeIssuer))
        .build()
}

fn alm() -> Alm {
    alm_with(Arc::default())
}

async fn create(alm: &Alm, username: &str) -> User {
    alm.accounts().create(&admin(), new_user(username, PASSWORD)).await.unwrap().value
}

async fn login(alm: &Alm, cx: &Context, username: &str, password: &str) -> Result<IssuedTokens, Error> {
    let password = Password::attempt(password).unwrap();
    Ok(alm.sessions().login(cx, &name(username), &password).await?.value)
}

async fn users(alm: &Alm) -> Vec<User> {
    alm.accounts().list(&admin(), None, Limit::default()).await.unwrap().items
}

#[tokio::test]
async fn a_login_goes_on_record_whether_it_succeeds_or_not() {
    // given
    let alm = alm();
    create(&alm, "carol").await;

    // when
    login(&alm, &Context::anonymous(), "carol", PASSWORD).await.unwrap();
    login(&alm, &Context::anonymous(), "carol", "wrong").await.unwrap_err();
    login(&alm, &Context::anonymous(), "nobody", PASSWORD).await.unwrap_err();

    // then
    let log = log_of(alm.store().as_ref()).await;
    let told: Vec<_> = log[1..]
        .iter()
        .map(|event| (event.data.type_name(), event.actor.as_str(), event.subject.to_string()))
        .collect();
    assert_eq!(
        told,
        [
            ("LoginSucceeded", "carol", "users/carol".to_owned()),
            ("LoginFailed", "anonymous", "users/carol".to_owned()),
            ("LoginFailed", "anonymous", "users/nobody".to_owned()),
        ]
    );
}

#[tokio::test]
async fn an_unknown_user_looks_like_a_wrong_password() {
    // given
    let hasher = Arc::new(FakeHasher::default());
    let alm = alm_with(hasher.clone());
    create(&alm, "carol").await;

    // when
    let wrong = login(&alm, &Context::anonymous(), "carol", "wrong").await.unwrap_err();
    let unknown = login(&alm, &Context::anonymous(), "nobody", "wrong").await.unwrap_err();

    // then
    assert_eq!((wrong.code(), wrong.to_string()), (unknown.code(), unknown.to_string()));
    assert_eq!(wrong.code(), "wrong-credentials");
    assert_eq!(hasher.verified.load(Ordering::Relaxed), 2, "it costs a hash either way");
    let data: Vec<_> = log_of(alm.store().as_ref()).await[1..].iter().map(|event| event.data.to_json()).collect();
    assert_eq!(data, [json!({"user": "carol"}), json!({"user": "nobody"})], "the event does not tell either");
}

#[tokio::test]
async fn a_login_that_is_sent_again_gets_the_same_token_as_long_as_it_counts() {
    // given
    let store = Arc::new(MemoryStore::new());
    let clock = ManualClock::at(0);
    let alm = Alm::builder(store)
        .clock(clock.clone())
        .password_hasher(Arc::new(FakeHasher::default()))
        .secrets(Arc::new(SystemSecrets));
    let alm = alm.token_issuer(Arc::new(FakeIssuer)).token_seconds(60).build();
    create(&alm, "carol").await;
    let cx = keyed(Context::anonymous(), "k", 1);

    // when
    let first = login(&alm, &cx, "carol", PASSWORD).await.unwrap();
    clock.move_by(59_000_000);
    let again = login(&alm, &cx, "carol", PASSWORD).await.unwrap();
    let guessed = login(&alm, &cx, "carol", "wrong").await.unwrap_err();
    let other = login(&alm, &Context::anonymous(), "carol", PASSWORD).await.unwrap();
    clock.move_by(2_000_000);
    let late = login(&alm, &cx, "carol", PASSWORD).await.unwrap();

    // then
    assert_eq!((&first.access_token, first.expires_in), (&again.access_token, 60));
    assert_eq!(guessed.code(), "wrong-credentials", "the key is no password");
    assert_ne!(first.access_token, other.access_token);
    assert_ne!(first.access_token, late.access_token, "an expired token is of no use");
    let told = types_of(&alm).await;
    assert_eq!(told[1..], ["LoginSucceeded", "LoginFailed", "LoginSucceeded", "LoginSucceeded"]);
}

#[tokio::test]
async fn the_key_of_a_login_serves_each_user_by_itself() {
    let alm = alm();
    create(&alm, "carol").await;
    create(&alm, "dave").await;
    let cx = keyed(Context::anonymous(), "k", 1);

    let carol = login(&alm, &cx, "carol", PASSWORD).await.unwrap();
    let dave = login(&alm, &cx, "dave", PASSWORD).await.unwrap();

    assert!(carol.access_token.contains(" carol ") && dave.access_token.contains(" dave "));
}

#[tokio::test]
async fn a_create_that_is_sent_again_must_have_the_same_password() {
    // given, as a caller must, a fingerprint that knows nothing of the password
    let alm = alm();
    let cx = keyed(admin(), "k", 1);
    let first = alm.accounts().create(&cx, new_user("carol", PASSWORD)).await.unwrap();

    // when
    let again = alm.accounts().create(&cx, new_user("carol", PASSWORD)).await.unwrap();
    let other = alm.accounts().create(&cx, new_user("carol", "another horse")).await.unwrap_err();

    // then
    assert_eq!((first.replayed, again.replayed), (false, true));
    assert_eq!(first.value, again.value);
    assert!(matches!(other, Error::IdempotencyMismatch));
    assert_eq!(types_of(&alm).await, ["UserCreated"]);
    login(&alm, &Context::anonymous(), "carol", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn an_account_name_is_taken_until_its_account_is_deleted() {
    let alm = alm();
    create(&alm, "carol").await;
    let taken = alm.accounts().create(&admin(), new_user("carol", PASSWORD)).await.unwrap_err();
    assert_eq!(taken.code(), "username-taken");

    alm.accounts().delete(&admin(), &name("carol")).await.unwrap();
    let gone = alm.accounts().delete(&admin(), &name("carol")).await.unwrap_err();
    assert_eq!(gone.code(), "not-found");
    assert_eq!(login(&alm, &Context::anonymous(), "carol", PASSWORD).await.unwrap_err().code(), "wrong-credentials");

    create(&alm, "carol").await;
    assert_eq!(users(&alm).await.len(), 1);
}

#[tokio::test]
async fn an_account_cannot_delete_itself() {
    let alm = alm();
    create(&alm, "carol").await;
    let carol = by("carol", Role::Admin);

    let refused = alm.accounts().delete(&carol, &name("carol")).await.unwrap_err();

    assert!(matches!(refused, Error::OwnAccount));
    assert_eq!(users(&alm).await.len(), 1);
    assert_eq!(types_of(&alm).await, ["UserCreated"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_processes_that_start_at_once_one_makes_the_first_account() {
    for _ in 0..20 {
        // given
        let store = Arc::new(rough(Arc::new(MemoryStore::new()), Fault::None));
        let processes: Vec<_> = (0..10)
            .map(|_| {
                let alm = Alm::builder(store.clone())
                    .password_hasher(Arc::new(FakeHasher::default()))
                    .secrets(Arc::new(SystemSecrets))
                    .build();
                tokio::spawn(async move { alm.accounts().ensure_admin(&password(PASSWORD)).await.unwrap() })
            })
            .collect();

        // when
        let mut made = 0;
        for process in processes {
            made += usize::from(process.await.unwrap());
        }

        // then
        assert_eq!(made, 1);
        let alm = Alm::builder(store)
            .password_hasher(Arc::new(FakeHasher::default()))
            .secrets(Arc::new(SystemSecrets))
            .build();
        assert!(!alm.accounts().ensure_admin(&password("another horse")).await.unwrap());
        let [first] = users(&alm).await.try_into().unwrap();
        assert_eq!((first.username.as_str(), first.role), ("admin", Role::Admin));
        assert_eq!(types_of(&alm).await, ["UserCreated"]);
    }
}

#[tokio::test]
async fn no_first_account_is_made_where_there_is_another() {
    let alm = alm();
    create(&alm, "carol").await;

    assert!(!alm.accounts().ensure_admin(&password(PASSWORD)).await.unwrap());
    assert_eq!(users(&alm).await.len(), 1);
}

#[tokio::test]
async fn a_user_sets_its_own_password_an_admin_everyones() {
    // given
    let alm = alm();
    create(&alm, "carol").await;
    create(&alm, "dave").await;
    let (carol, new) = (by("carol", Role::User), password("another horse"));

    // when
    alm.accounts().set_password(&carol, &name("carol"), &new, None).await.unwrap();
    let others = alm.accounts().set_password(&carol, &name("dave"), &new, None).await.unwrap_err();
    let unknown = alm.accounts().set_password(&admin(), &name("nobody"), &new, None).await.unwrap_err();

    // then
    assert_eq!((others.code(), unknown.code()), ("forbidden", "not-found"));
    login(&alm, &Context::anonymous(), "carol", "another horse").await.unwrap();
    login(&alm, &Context::anonymous(), "carol", PASSWORD).await.unwrap_err();
    login(&alm, &Context::anonymous(), "dave", PASSWORD).await.unwrap();
    alm.accounts().set_password(&admin(), &name("dave"), &new, None).await.unwrap();
    login(&alm, &Context::anonymous(), "dave", "another horse").await.unwrap();
    let changed: Vec<_> = log_of(alm.store().as_ref())
        .await
        .iter()
        .filter(|event| matches!(event.data, EventData::PasswordChanged(_)))
        .map(|event| format!("{} by {}", event.subject, event.actor))
        .collect();
    assert_eq!(changed, ["users/carol by carol", "users/dave by ada"]);
}

/// The first has read the account, and is at the commit.
#[tokio::test]
async fn a_password_is_not_set_on_an_account_that_is_another_meanwhile() {
    for (meanwhile, code) in
        [("a password", "contended"), ("a role", "contended"), ("deleted", "not-found"), ("made anew", "contended")]
    {
        // given
        let (store, gate) = (Arc::new(MemoryStore::new()), Gate::closed());
        let alm = alm_of(store.clone(), Arc::default());
        create(&alm, "carol").await;
        let held = gate.clone();
        let plan = move |call: &Call<'_>| match call.operation {
            Operation::Commit => Fault::Hold(held.clone()),
            _ => Fault::None,
        };
        let slow = alm_of(Arc::new(Faulty::over(store, plan)), Arc::default());

        // when
        let set =
            async |alm: &Alm, text| alm.accounts().set_password(&admin(), &name("carol"), &password(text), None).await;
        let change = async {
            gate.holds(1).await;
            match meanwhile {
                "a password" => set(&alm, "another horse").await.unwrap(),
                "a role" => {
                    let update = UserUpdate { role: Role::Admin, grants: BTreeSet::new() };
                    drop(alm.accounts().update(&admin(), &name("carol"), update, &Precondition::none()).await.unwrap());
                }
                _ => alm.accounts().delete(&admin(), &name("carol")).await.unwrap(),
            }
            if meanwhile == "made anew" {
                create(&alm, "carol").await;
            }
            let left = alm.store().user(&name("carol")).await.unwrap();
            gate.open();
            left
        };
        let (refused, left) = tokio::join!(set(&slow, "third horse"), change);

        // then
        assert_eq!(refused.unwrap_err().code(), code, "{meanwhile}");
        assert_eq!(alm.store().user(&name("carol")).await.unwrap(), left, "{meanwhile}");
    }
}

#[tokio::test]
async fn a_refusal_goes_on_record_with_what_was_asked_for() {
    // given
    let alm = alm();
    let (cx, none) = (user(), Precondition::none());
    let app = AppId::new(7).unwrap();

    // when
    let refusals = [
        alm.apps().delete(&cx, app, &none).await.unwrap_err(),
        alm.accounts().delete(&cx, &name("carol")).await.unwrap_err(),
        alm.accounts().list(&cx, None, Limit::default()).await.map(drop).unwrap_err(),
        alm.audit().list(&cx, &AuditFilter::default(), None, Limit::default()).await.map(drop).unwrap_err(),
    ];

    // then
    assert!(refusals.iter().all(|refusal| refusal.code() == "forbidden"));
    let told: Vec<_> = log_of(alm.store().as_ref())
        .await
        .iter()
        .map(|event| (event.data.to_json(), event.subject.to_string()))
        .collect();
    let refused =
        |action: Action, subject: &str| (json!({"user": "bob", "action": action.as_str()}), subject.to_owned());
    assert_eq!(
        told,
        [
            refused(Action::DeleteApp, "apps/7"),
            refused(Action::DeleteUser, "users/carol"),
            refused(Action::ListUsers, "users"),
            refused(Action::ListAuditEntries, "audit"),
        ]
    );
}

#[tokio::test]
async fn a_scope_lets_in_and_who_has_not_said_who_they_are_leaves_no_trace() {
    let alm = alm();
    let auditor = Context::new(user().principal().unwrap().clone().with_grants([&Grant::everywhere(Role::Auditor)]));
    alm.audit().list(&auditor, &AuditFilter::default(), None, Limit::default()).await.unwrap();

    let nobody = alm.apps().list(&Context::anonymous(), &AppFilter::default(), None, Limit::default()).await;

    assert_eq!(nobody.unwrap_err().code(), "unauthenticated");
    assert_eq!(types_of(&alm).await, [""; 0]);
}

#[tokio::test]
async fn without_a_hasher_and_an_issuer_there_are_no_accounts() {
    let alm = Alm::builder(Arc::new(MemoryStore::new())).build();
    let refused = alm.accounts().create(&admin(), new_user("carol", PASSWORD)).await.unwrap_err();
    assert_eq!(refused.code(), "not-configured");
    let refused = login(&alm, &Context::anonymous(), "carol", PASSWORD).await.unwrap_err();
    assert_eq!(refused.code(), "not-configured");
}

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_password_and_no_hash_is_ever_told_logged_or_shown() {
    // given everything that is logged, and every changeset that is sent
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(lines.clone())
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .finish();
    let _logging = tracing_subscriber::util::SubscriberInitExt::set_default(subscriber);
    let sent = Arc::new(Mutex::new(Vec::new()));
    let record = sent.clone();
    let recording = move |call: &Call<'_>| {
        record.lock().unwrap().extend(call.changeset.cloned());
        Fault::None
    };
    let store = Arc::new(rough(Arc::new(MemoryStore::new()), recording));
    let alm =
        Alm::builder(store.clone()).password_hasher(Arc::new(FakeHasher::default())).secrets(Arc::new(SystemSecrets));
    let alm = alm.token_issuer(Arc::new(FakeIssuer)).build();

    // when
    let mut shown = Vec::new();
    let cx = keyed(admin(), "k", 1);
    for _ in 0..2 {
        shown.push(format!("{:?}", alm.accounts().create(&cx, new_user("carol", PASSWORD)).await));
    }
    shown.push(format!("{:?}", alm.accounts().create(&cx, new_user("carol", "another horse")).await));
    shown.push(format!(
        "{:?}",
        alm.accounts().set_password(&admin(), &name("carol"), &password("third horse"), None).await
    ));
    let cx = keyed(Context::anonymous(), "k", 1);
    let token = login(&alm, &cx, "carol", "third horse").await;
    shown.push(format!("{token:?}"));
    shown.push(format!("{:?}", login(&alm, &cx, "carol", "wrong horse").await));
    shown.push(format!("{:?}", alm.accounts().ensure_admin(&password("fourth horse")).await));
    settle(&alm, &[]).await;

    // then
    shown.extend(log_of(alm.store().as_ref()).await.iter().map(|event| format!("{event:?} {}", event.data.to_json())));
    shown.extend(sent.lock().unwrap().iter().map(|changeset| format!("{changeset:?}")));
    shown.push(format!("{:?}", store.user(&name("carol")).await));
    shown.push(format!("{alm:?}"));
    shown.push(String::from_utf8(lines.0.lock().unwrap().clone()).unwrap());
    assert!(shown.last().unwrap().contains("committed"), "the log is heard");
    let token = token.unwrap().access_token;
    for text in shown {
        for secret in ["horse", "esroh", HASH_MARK, &token] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}
