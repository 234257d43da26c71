//! Accounts.

use std::collections::BTreeSet;

use crate::{
    changeset::Change,
    domain::{Grant, PasswordHash, Revision, Role, Subject as About, Timestamp, User, UserRecord, Username},
    ports::{Store, Unique},
    testing::{
        conformance::must::Must,
        fixtures::{account, at, of, username},
    },
};

use super::{
    given::failed,
    labelled::ODD,
    look::ALL,
    paging::is_listed,
    refusal::{Refusal, is_refused, one_wins},
    subject::Subject,
};

/// An account of that name, made at that time.
fn made(name: &str, created: i64) -> UserRecord {
    let record = account(name);
    UserRecord { user: User { created_at: at(created), ..record.user }, ..record }
}

async fn all(store: &dyn Store) -> Vec<User> {
    store.users(None, ALL).await.must("list accounts")
}

/// Checks that the account, and only it, is shown by name and in the list.
async fn is_shown(store: &dyn Store, record: &UserRecord) {
    let shown = store.user(&record.user.username).await.must("read an account").expect("the account is there");
    assert_eq!(shown.user, record.user, "the account by its name");
    assert_eq!(shown.password_hash.as_str(), record.password_hash.as_str(), "the hash of its password");
    assert_eq!(all(store).await, std::slice::from_ref(&record.user), "the list of accounts");
}

pub(super) async fn an_account_reads_back_as_it_was_committed(subject: Subject) {
    let store = subject.store();
    assert_eq!(store.user(&username("ada")).await.must("read an account"), None, "there is no account yet");
    assert_eq!(all(store.as_ref()).await, []);
    let longest = format!("9{}", "A-z_.@+".repeat(9));
    let grants: BTreeSet<_> =
        ["auditor", "deployer:7/prod", "admin:*/eu-west_1.x"].map(|grant| Grant::parse(grant).expect("a grant")).into();
    for (role, grants, name, created_at, revision) in [
        (Role::Admin, grants, "ada", at(1_795_348_800_123_456), 1),
        (Role::Viewer, BTreeSet::new(), "ada@example.org", Timestamp::MIN, 7),
        (Role::User, BTreeSet::new(), longest.as_str(), Timestamp::MAX, i64::MAX.unsigned_abs()),
    ] {
        let revision = Revision::new(revision);
        let user = User { username: username(name), role, grants, created_at, revision };
        let password_hash = PasswordHash::new(format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA{ODD}"));
        let record = UserRecord { user, password_hash };
        store.commit(of(Change::user_created(&record))).await.must("create an account");
        is_shown(store.as_ref(), &record).await;

        store.commit(of(Change::user_deleted(&record.user.username))).await.must("delete an account");
        assert_eq!(store.user(&username(name)).await.must("read an account"), None, "the account is gone");
        assert_eq!(all(store.as_ref()).await, []);
    }
}

pub(super) async fn another_password_changes_the_revision_and_nothing_else(subject: Subject) {
    let store = subject.store();
    let (mut ada, bob) = (made("ada", 5), made("bob", 6));
    store.commit(of(Change::user_created(&ada))).await.must("create an account");
    store.commit(of(Change::user_created(&bob))).await.must("create an account");
    for hash in ["other", "", "other", "hash"] {
        let change = Change::password_changed(&ada, PasswordHash::new(hash));
        store.commit(of(change)).await.must("change a password");
        ada.password_hash = PasswordHash::new(hash);
        ada.user.revision = ada.user.revision.next();
        let shown = store.user(&username("ada")).await.must("read an account").expect("the account is there");
        assert_eq!(shown.password_hash.as_str(), hash, "the new hash");
        assert_eq!(shown.user, ada.user, "all but the hash and the revision is as it was");
        assert_eq!(store.user(&username("bob")).await.must("read an account"), Some(bob.clone()), "another account");
        assert_eq!(all(store.as_ref()).await, [ada.user.clone(), bob.user.clone()]);
    }
}

pub(super) async fn a_password_is_changed_only_from_what_it_was(subject: Subject) {
    let store = subject.store();
    let ada = made("ada", 5);
    store.commit(of(Change::user_created(&ada))).await.must("create an account");
    let refusal = Refusal::Stale(About::User(username("ada")));
    let had_another = UserRecord { password_hash: PasswordHash::new("what it was"), ..ada.clone() };
    let had_less = UserRecord { user: User { revision: Revision::new(4), ..ada.user.clone() }, ..ada.clone() };
    for (what, was) in [("is another by now", had_another), ("is of an account that was changed", had_less)] {
        let late = of(Change::password_changed(&was, PasswordHash::new("late")));
        is_refused(store.as_ref(), &format!("change a password that {what}"), late, refusal.clone()).await;
        is_shown(store.as_ref(), &ada).await;
    }

    let rivals = (0..10).map(|n| of(Change::password_changed(&ada, PasswordHash::new(format!("hash {n}"))))).collect();
    let winner = one_wins(&subject, "change one password", rivals, refusal).await;
    let shown = store.user(&username("ada")).await.must("read an account").expect("the account is there");
    assert_eq!(shown.password_hash, PasswordHash::new(format!("hash {winner}")), "the one that was acknowledged");
    assert_eq!(shown.user.revision, ada.user.revision.next(), "it is changed once");
}

pub(super) async fn an_account_is_changed_only_at_its_revision(subject: Subject) {
    let store = subject.store();
    let (ada, bob) = (made("ada", 5), made("bob", 6));
    store.commit(of(Change::user_created(&ada))).await.must("create an account");
    store.commit(of(Change::user_created(&bob))).await.must("create an account");
    let grants: BTreeSet<_> = [Grant::parse("deployer:7/prod").expect("a grant")].into();
    let promoted = ada.user.update(Role::Admin, grants).expect("a change");
    for stale in [0, 2, 7] {
        let change = Change::user_updated(&promoted, Revision::new(stale));
        let refusal = Refusal::Stale(About::User(username("ada")));
        is_refused(store.as_ref(), "change an account at another revision", of(change), refusal).await;
    }
    store.commit(of(Change::user_updated(&promoted, ada.user.revision))).await.must("change an account");
    let shown = store.user(&username("ada")).await.must("read an account").expect("the account is there");
    assert_eq!(shown, UserRecord { user: promoted.clone(), password_hash: ada.password_hash.clone() });
    assert_eq!(all(store.as_ref()).await, [promoted, bob.user.clone()]);
    let nobody = made("nobody", 7).user.update(Role::Admin, BTreeSet::new()).expect("a change");
    let change = of(Change::user_updated(&nobody, Revision::FIRST));
    let refusal = Refusal::Missing(About::User(username("nobody")));
    is_refused(store.as_ref(), "change an account that is not there", change, refusal).await;
}

pub(super) async fn a_password_is_hashed_anew_as_long_as_it_is_the_same(subject: Subject) {
    let store = subject.store();
    let ada = made("ada", 5);
    store.commit(of(Change::user_created(&ada))).await.must("create an account");
    let hash = |text: &str| PasswordHash::new(text);
    let rehash = |old: PasswordHash, new: &str| of(failed()).rehashing(&username("ada"), old, hash(new));
    store.commit(rehash(ada.password_hash.clone(), "new")).await.must("hash a password anew");
    is_shown(store.as_ref(), &UserRecord { password_hash: hash("new"), ..ada.clone() }).await;
    // Another password was set meanwhile.
    store.commit(rehash(ada.password_hash.clone(), "late")).await.must("be late");
    is_shown(store.as_ref(), &UserRecord { password_hash: hash("new"), ..ada }).await;
    store.commit(of(Change::user_deleted(&username("ada")))).await.must("delete an account");
    store.commit(rehash(hash("new"), "later")).await.must("be later than the account");
    assert_eq!(all(store.as_ref()).await, []);
}

pub(super) async fn an_account_is_never_inserted_over_another(subject: Subject) {
    let store = subject.store();
    let ada = made("ada", 5);
    store.commit(of(Change::user_created(&ada))).await.must("create an account");
    let mut promoted = made("ada", 4);
    promoted.user.role = Role::Admin;
    promoted.password_hash = PasswordHash::new("of someone else");
    for again in [ada.clone(), promoted] {
        let refusal = Refusal::Taken(Unique::Username(username("ada")));
        let create = of(Change::user_created(&again));
        is_refused(store.as_ref(), "create an account with a name that is taken", create, refusal).await;
        is_shown(store.as_ref(), &ada).await;
    }
    // Case counts.
    for name in ["Ada", "ADA", "ada."] {
        store.commit(of(Change::user_created(&account(name)))).await.must(&format!("create {name} beside ada"));
        assert_eq!(store.user(&username(name)).await.must("read an account"), Some(account(name)));
    }
}

pub(super) async fn an_account_that_is_not_there_is_neither_changed_nor_deleted(subject: Subject) {
    let store = subject.store();
    let ada = made("ada", 5);
    store.commit(of(Change::user_created(&ada))).await.must("create an account");
    store.commit(of(Change::user_created(&account("gone")))).await.must("create an account");
    store.commit(of(Change::user_deleted(&username("gone")))).await.must("delete an account");
    for name in ["nobody", "gone", "ADA"] {
        let refusal = || Refusal::Missing(About::User(username(name)));
        let change = of(Change::password_changed(&made(name, 5), PasswordHash::new("x")));
        is_refused(store.as_ref(), "change the password of an account that is not there", change, refusal()).await;
        let delete = of(Change::user_deleted(&username(name)));
        is_refused(store.as_ref(), "delete an account that is not there", delete, refusal()).await;
        is_shown(store.as_ref(), &ada).await;
    }
}

pub(super) async fn an_account_can_be_made_again_once_it_is_gone(subject: Subject) {
    let store = subject.store();
    store.commit(of(Change::user_created(&made("ada", 5)))).await.must("create an account");
    store.commit(of(Change::user_deleted(&username("ada")))).await.must("delete an account");
    let mut again = made("ada", 9);
    again.user.role = Role::Admin;
    again.password_hash = PasswordHash::new("another");
    store.commit(of(Change::user_created(&again))).await.must("create an account whose name is free again");
    is_shown(store.as_ref(), &again).await;
}

pub(super) async fn of_many_who_want_one_username_one_gets_it(subject: Subject) {
    let store = subject.store();
    for round in 1..=5 {
        let name = format!("ada{round}");
        let rivals: Vec<_> = (1..=20)
            .map(|n| UserRecord { password_hash: PasswordHash::new(format!("hash {n}")), ..made(&name, n) })
            .collect();
        let create = rivals.iter().map(|record| of(Change::user_created(record))).collect();
        let refusal = Refusal::Taken(Unique::Username(username(&name)));
        let winner = one_wins(&subject, "create an account of one name", create, refusal).await;
        let shown = store.user(&username(&name)).await.must("read an account");
        assert_eq!(shown.as_ref(), Some(&rivals[winner]), "the account whose creation was acknowledged");
    }
    assert_eq!(all(store.as_ref()).await.len(), 5, "nothing is left of those that were refused");
}

fn key(user: &User) -> (Timestamp, Username) {
    (user.created_at, user.username.clone())
}

pub(super) async fn accounts_are_listed_by_creation_and_name_in_pages(subject: Subject) {
    // given accounts of a few moments, some of the same, with names whose order depends on the collation
    let store = subject.store();
    let names = ["b", "B", "ab", "aB", "a-b", "a.b", "a_b", "a@b", "a+b", "a", "Z", "0", "9", "10", "z9"];
    let mut expected = Vec::new();
    for (n, name) in (0..).zip(names) {
        let record = made(name, [7, 7, -3, 7, 8][n % 5]);
        store.commit(of(Change::user_created(&record))).await.must("create an account");
        expected.push(record.user);
    }
    expected.sort_by_key(key);

    // then
    let reader = store.as_ref();
    let read = |after: Option<(Timestamp, Username)>, limit| -> super::paging::Page<'_, User> {
        Box::pin(async move { reader.users(after.as_ref(), limit).await })
    };
    is_listed("the accounts", &expected, key, read).await;
    // when a page begins where nothing is, or is no more
    let gone = expected.remove(4);
    store.commit(of(Change::user_deleted(&gone.username))).await.must("delete an account");
    for (created, name) in
        [(-4, "zz"), (-3, "c"), (7, "0"), (7, "AA"), (7, "zz"), (9, "0"), (7, gone.username.as_str())]
    {
        let after = (at(created), username(name));
        let rest: Vec<_> = expected.iter().filter(|user| key(user) > after).take(3).cloned().collect();
        let page = store.users(Some(&after), 3).await.must("list accounts");
        assert_eq!(page, rest, "the three after {after:?}, where no account is");
    }
}
