//! The audit log, as whoever may read it sees it.

use std::sync::Arc;

use alm_core::{
    Alm, Context, Principal,
    domain::{Actor, AuditIndex, Grant, Role},
    ports::AuditFilter,
    services::Limit,
    testing::inspect::settle,
};
use alm_store_memory::MemoryStore;

use crate::given::{admin, an_app, user};

#[tokio::test]
async fn an_entry_is_got_by_the_index_that_the_list_shows() {
    // given
    let alm = Alm::builder(Arc::new(MemoryStore::new())).build();
    for name in ["a", "b"] {
        alm.apps().create(&admin(), an_app(name)).await.unwrap();
    }
    settle(&alm, &[]).await;
    let listed = alm.audit().list(&admin(), &AuditFilter::default(), None, Limit::default()).await.unwrap().items;
    assert_eq!(listed.len(), 2);

    // then
    let auditor =
        Principal::new(Actor::parse("eve").unwrap(), Role::User).with_grants([&Grant::everywhere(Role::Auditor)]);
    for cx in [admin(), Context::new(auditor)] {
        for entry in &listed {
            assert_eq!(alm.audit().get(&cx, entry.index).await.unwrap().as_ref(), Some(entry));
        }
        assert_eq!(alm.audit().get(&cx, AuditIndex::new(3)).await.unwrap(), None);
    }
    assert_eq!(alm.audit().get(&user(), AuditIndex::FIRST).await.unwrap_err().code(), "forbidden");
}
