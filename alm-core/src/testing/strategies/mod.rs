//! Values of the domain as proptest makes them: one function for each type, also as its [`Arbitrary`](proptest::arbitrary::Arbitrary)
//! for `any::<App>()`.
//!
//! They are valid, and often at an edge: the shortest and the longest texts, texts that are not ASCII, combining characters, from
//! right to left, beyond the basic plane, with what SQL, `LIKE`, JSON and shells treat specially; the first and last times and
//! numbers. Revisions, positions and indexes stay within `i64`, which is what a SQL store has.
//!
//! Each `invalid_…` gives raw input with the [code](crate::domain::Rejected::code) that it is refused with, and reaches every rule.
//!
//! [`history()`] gives changesets that can be committed one after the other.
//!
//! ```
//! use alm_core::{domain::{App, Tag}, testing::strategies::invalid_tag};
//! use proptest::prelude::*;
//!
//! proptest!(|(app in any::<App>(), (text, code) in invalid_tag())| {
//!     prop_assert!(app.updated_at >= app.created_at);
//!     prop_assert_eq!(Tag::parse(text).unwrap_err().code, code);
//! });
//! ```
#![expect(
    clippy::missing_panics_doc,
    reason = "a strategy panics only if it has broken a rule that it is there to keep"
)]

/// The crate that the strategies are made by, in the version that they need: for `proptest!` and its prelude.
pub use proptest;

/// Gives types the strategy of that name as their `Arbitrary`.
macro_rules! arbitrary {
    ($($type:ty => $strategy:expr;)+) => {
        $(
            impl proptest::arbitrary::Arbitrary for $type {
                type Parameters = ();
                type Strategy = proptest::strategy::BoxedStrategy<Self>;

                fn arbitrary_with((): ()) -> Self::Strategy {
                    proptest::strategy::Strategy::boxed($strategy)
                }
            }
        )+
    };
}

mod accounts;
mod changesets;
mod credentials;
mod events;
mod history;
mod intents;
mod invalid;
mod numbers;
mod resources;
mod texts;
mod world;

pub use changesets::{
    action, change, checkpoint, consumer_name, dead_letter, guard, idempotency_key, idempotency_record,
    idempotency_scope, parent_id, principal, stamp,
};
pub use credentials::{api_key, credential, holder, new_api_key, retired, secret_hash, session, session_end};
pub use events::{
    access_denied, api_key_data, api_key_revoked, app_data, audit_entry, cloud_event, deployment_data,
    deployment_update, event, event_data, event_type, login_failed, new_audit_entry, new_event, session_data,
    session_ended, source_service, user_created, user_data, version_data,
};
pub use history::{History, history};
pub use invalid::{
    field_error, invalid, invalid_actor, invalid_api_key_name, invalid_app_name, invalid_changelog,
    invalid_consumer_name, invalid_description, invalid_environment_name, invalid_grant, invalid_idempotency_key,
    invalid_labels, invalid_password, invalid_subject, invalid_tag, invalid_timestamp, invalid_traceparent,
    invalid_username, rejected,
};
pub use numbers::{
    app_id, audit_index, changeset_id, credential_id, deployment_id, event_id, log_id, position, revision, timestamp,
    version_id,
};
pub use resources::{
    app, deployment, deployment_status, grant, grants, illegal_transition, new_app, new_deployment, new_user,
    new_version, role, running_version, user, user_record, user_update, version, version_update,
};
pub use texts::{
    actor, api_key_name, app_name, changelog, description, environment_name, json, labels, password, password_hash,
    subject, tag, traceparent, username,
};
