//! Roles: one at a time has each.

use std::time::Duration;

use tokio::time::timeout;

use crate::{
    changeset::ConsumerName,
    ports::{Lease, Store},
    testing::{
        conformance::{must::Must, tasks::patience},
        fixtures::{consumer, of},
    },
};

use super::{
    given::{Handle, at_once, failed},
    subject::Subject,
};

async fn take(store: &dyn Store, role: &ConsumerName) -> Option<Box<dyn Lease>> {
    store.lead(role).await.must("ask for a role")
}

async fn must_take(store: &dyn Store, role: &ConsumerName) -> Box<dyn Lease> {
    take(store, role).await.unwrap_or_else(|| panic!("the role {role} is free, and can't be taken"))
}

async fn is_taken(store: &dyn Store, role: &ConsumerName) {
    assert!(take(store, role).await.is_none(), "the role {role} is taken by two");
}

/// Takes a role once it is free.
async fn wait_for(store: &dyn Store, role: &ConsumerName) -> Box<dyn Lease> {
    let coming = async {
        loop {
            if let Some(lease) = take(store, role).await {
                return lease;
            }
            let _ = timeout(Duration::from_millis(20), std::future::pending::<()>()).await;
        }
    };
    let in_time = timeout(patience(), coming).await;
    in_time.unwrap_or_else(|_| panic!("the role {role} is not free {:?} after its end", patience()))
}

pub(super) async fn of_many_who_want_a_role_one_gets_it(subject: Subject) {
    let handles = subject.rivals().await;
    for round in 0..10 {
        let role = consumer(&format!("relay-{round}"));
        let ask = |store: Handle| {
            let role = role.clone();
            async move { take(store.as_ref(), &role).await }
        };
        let asked = at_once(handles.iter().cycle().take(8).map(|store| ask(store.clone()))).await;
        let mut leases: Vec<_> = asked.into_iter().flatten().collect();
        assert_eq!(leases.len(), 1, "of those who want a role one must get it");
        assert!(leases[0].is_held().await, "the one who got it has it");
    }
}

pub(super) async fn a_role_is_held_among_all_handles(subject: Subject) {
    let (one, other) = (subject.store(), subject.another_handle().await);
    let role = consumer("relay");
    for (holder, rival) in [(&one, &other), (&other, &one)] {
        let mut lease = wait_for(holder.as_ref(), &role).await;
        is_taken(rival.as_ref(), &role).await;
        is_taken(holder.as_ref(), &role).await;
        assert!(lease.is_held().await);
    }
}

pub(super) async fn a_role_is_free_when_its_lease_is_dropped(subject: Subject) {
    let handles = subject.rivals().await;
    let role = consumer("relay");
    for store in handles.iter().cycle().take(4) {
        let mut lease = wait_for(store.as_ref(), &role).await;
        assert!(lease.is_held().await);
        is_taken(handles[0].as_ref(), &role).await;
        drop(lease);
    }
}

pub(super) async fn a_role_is_free_after_a_restart(mut subject: Subject) {
    let role = consumer("relay");
    for _ in 0..3 {
        let store = subject.store();
        let lease = wait_for(store.as_ref(), &role).await;
        drop((lease, store));
        let store = subject.reopen().await;
        let mut lease = wait_for(store.as_ref(), &role).await;
        assert!(lease.is_held().await);
    }
}

pub(super) async fn roles_of_different_names_do_not_mix(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    let roles = ["relay", "relay2", "rela", "relay-", "relay_", "-", "_", "0", &"x".repeat(31), &"x".repeat(30)];
    let roles = roles.map(consumer);
    let mut leases = Vec::new();
    for role in &roles {
        leases.push(must_take(store, role).await);
    }
    for (role, lease) in roles.iter().zip(&mut leases) {
        is_taken(store, role).await;
        assert!(lease.is_held().await);
    }
    drop(leases.remove(0));
    leases.insert(0, wait_for(store, &roles[0]).await);
    for (role, lease) in roles.iter().zip(&mut leases) {
        is_taken(store, role).await;
        assert!(lease.is_held().await, "another role was given up");
    }
}

pub(super) async fn a_lease_is_held_until_it_is_dropped(subject: Subject) {
    let handles = subject.rivals().await;
    let role = consumer("relay");
    let mut lease = must_take(handles[0].as_ref(), &role).await;
    for store in handles.iter().cycle().take(10) {
        is_taken(store.as_ref(), &role).await;
        store.commit(of(failed())).await.must("commit while someone has a role");
        assert!(lease.is_held().await, "nothing has happened to it");
    }
}
