//! Audit entries and checkpoints of their tree can't be changed, and the role that the store works under may not even try.

use std::collections::BTreeSet;

use alm_core::{
    changeset::{Change, Changeset, Guard},
    domain::{Credential, CredentialId, ParentId, Position, Role, SecretHash, SessionEnd},
    ports::{AuditFilter, Committer, EventLog, Reader, Roles, Sequence, TreeStore},
    testing::fixtures::{
        account, app, app_id, at, consumer, deployment, entry, growth, letter, of_all, progress, stamp, version,
    },
};
use alm_store_postgres::{
    PostgresStore,
    sqlx::{self, AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions, types::Uuid},
};

use crate::place::Place;

/// The SQLSTATEs with which changes of audit entries and checkpoints are refused to whoever connects so.
async fn refusals(connect: &PgConnectOptions, schema: &str) -> Vec<String> {
    let mut connection = PgConnection::connect_with(connect).await.unwrap();
    let mut codes = Vec::new();
    for change in [
        "UPDATE $.audit_entries SET occurred_at = 0",
        "DELETE FROM $.audit_entries",
        "TRUNCATE $.audit_entries",
        "UPDATE $.tree_checkpoints SET note = 'of another tree'",
        "DELETE FROM $.tree_checkpoints",
        "TRUNCATE $.tree_checkpoints",
    ] {
        let statement = AssertSqlSafe(change.replace('$', schema));
        let error = sqlx::query(statement).execute(&mut connection).await.expect_err(change);
        codes.push(error.as_database_error().unwrap().code().unwrap().into_owned());
    }
    codes
}

#[tokio::test]
async fn whoever_they_are_no_one_changes_an_audit_entry_or_a_checkpoint() {
    let place = Place::migrated().await;
    let store = place.store().await;
    store.commit(progress(store.log_id(), 0, 1).recording(entry("payload"))).await.unwrap();
    store.grow(growth(0, 1)).await.unwrap();
    let before = store.audit_entries(&AuditFilter::default(), None, 10).await.unwrap();

    // when its owner tries; restrict_violation
    assert_eq!(refusals(&place.host(), place.schema()).await, ["23001"; 6]);

    assert_eq!(store.audit_entries(&AuditFilter::default(), None, 10).await.unwrap(), before);
    assert_eq!(store.newest_checkpoint().await.unwrap(), Some(growth(0, 1).checkpoint));
}

#[tokio::test]
async fn a_role_with_the_grants_of_the_guide_can_do_all_but_change_audit_entries_and_checkpoints() {
    // given the grants that stand in the guide
    let place = Place::migrated().await;
    let role = format!("{}_service", place.schema());
    let guide = include_str!("../../../docs/postgresql.md");
    let mut blocks = guide.split("```sql\n").filter_map(|rest| rest.split("```").next());
    let grants = blocks.find(|block| block.contains("GRANT USAGE ON SCHEMA alm")).unwrap();
    let grants = grants.replace("alm_service", &role).replace("SCHEMA alm", "SCHEMA $schema");
    let grants = grants.replace(" alm.", " $schema.");
    place.execute(&format!("CREATE ROLE {role} LOGIN")).await;
    place.execute(&grants).await;

    // when the store works under that role
    let connect = place.host().username(&role);
    let store = PostgresStore::connect(&place.options_with(connect.clone())).await.unwrap();
    store.allocate(Sequence::Apps, 10).await.unwrap();
    let everything = of_all(
        Change::app_created(&app(1, "a")),
        [
            Change::version_created(&version(1, 1, "v1")),
            Change::deployment_created(&deployment(1, 1, 1)),
            Change::user_created(&account("ada")),
            Change::deployment_deleted(&deployment(1, 1, 1)),
            Change::version_deleted(&version(1, 1, "v1")),
            Change::app_deleted(&app(1, "a")),
        ],
    );
    store.commit(everything.recording(entry("payload"))).await.unwrap();
    store.commit(progress(store.log_id(), 0, 1).recording(entry("payload"))).await.unwrap();

    let parent = ParentId::App(app_id(7));
    store.commit(Changeset::learning(stamp(0), parent, app_id(7))).await.unwrap();
    let buried = progress(store.log_id(), 1, 2).guarded(Guard::ParentKnown(parent));
    store.commit(buried.parting(parent).burying(letter(store.log_id(), 2, "reason"))).await.unwrap();
    let settled = Changeset::settling(stamp(0), consumer("reader"), store.log_id(), Position::new(2));
    store.commit(settled).await.unwrap();
    let ada = account("ada").user;
    let id = CredentialId::new(Uuid::from_u128(1));
    let session = Credential::session(id, &ada, SecretHash::new([1; 32]), at(0), at(9));
    let renewed = session.renewed(SecretHash::new([2; 32]), at(1), at(1));
    let credentials = of_all(
        Change::credential_created(&session),
        [
            Change::credential_renewed(&renewed, session.revision),
            Change::credential_ended(&renewed, SessionEnd::Logout, at(1)),
            Change::user_updated(&ada.update(Role::Viewer, BTreeSet::new()).unwrap(), ada.revision),
        ],
    );
    store.commit(credentials.revoking(id, at(-1))).await.unwrap();
    store.commit(progress(store.log_id(), 2, 3).revoking(id, at(9))).await.unwrap();
    assert!(store.is_revoked(id).await.unwrap());
    assert!(store.lead(&consumer("relay")).await.unwrap().is_some());

    store.grow(growth(0, 1)).await.unwrap();
    store.grow(growth(1, 2)).await.unwrap();

    // then it can do its work, sealing included
    assert_eq!(store.audit_entries(&AuditFilter::default(), None, 10).await.unwrap().len(), 2);
    while store.head().await.unwrap() < Position::new(11) {
        store.changed(Position::new(10)).await.unwrap();
    }
    // and change neither entry nor checkpoint; insufficient_privilege
    assert_eq!(refusals(&connect, place.schema()).await, ["42501"; 6]);
    let mut connection = PgConnection::connect_with(&connect).await.unwrap();
    for (table, what) in [("known_apps", "nor forget what is gone"), ("tree_tiles", "nor what a checkpoint is of")] {
        let forget = AssertSqlSafe(format!("DELETE FROM {}.{table}", place.schema()));
        let error = sqlx::query(forget).execute(&mut connection).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501", "{what}");
    }
    connection.close().await.unwrap();
    store.close().await;
    place.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}
