//! Ids, counts and times.

use proptest::prelude::*;
use uuid::Uuid;

use crate::domain::{
    AppId, AuditIndex, ChangesetId, CredentialId, DeploymentId, EventId, LogId, Position, Revision, Timestamp,
    VersionId,
};

arbitrary! {
    AppId => app_id();
    VersionId => version_id();
    DeploymentId => deployment_id();
    Revision => revision();
    Position => position();
    AuditIndex => audit_index();
    EventId => event_id();
    ChangesetId => changeset_id();
    CredentialId => credential_id();
    LogId => log_id();
    Timestamp => timestamp();
}

/// 1 to `i64::MAX`, mostly small.
fn positive() -> impl Strategy<Value = i64> {
    // What lies just above these does not fit in an i32 or is not exact in an f64.
    const EDGES: [i64; 4] = [1, i32::MAX as i64, 1 << 53, i64::MAX];
    prop_oneof![6 => 1..=100_i64, 2 => proptest::sample::select(&EDGES[..]), 1 => 1..=i64::MAX]
}

/// The id of an app.
pub fn app_id() -> impl Strategy<Value = AppId> {
    positive().prop_map(|number| AppId::new(number).expect("positive"))
}

/// The id of a version.
pub fn version_id() -> impl Strategy<Value = VersionId> {
    positive().prop_map(|number| VersionId::new(number).expect("positive"))
}

/// The id of a deployment.
pub fn deployment_id() -> impl Strategy<Value = DeploymentId> {
    positive().prop_map(|number| DeploymentId::new(number).expect("positive"))
}

/// A revision, from 1 to `i64::MAX`.
pub fn revision() -> impl Strategy<Value = Revision> {
    positive().prop_map(|number| Revision::new(number.unsigned_abs()))
}

/// A position of an event or the start, so from 0 to `i64::MAX`.
pub fn position() -> impl Strategy<Value = Position> {
    prop_oneof![1 => Just(Position::START), 8 => placed()]
}

/// A position of an event.
pub(super) fn placed() -> impl Strategy<Value = Position> {
    positive().prop_map(|number| Position::new(number.unsigned_abs()))
}

/// The index of an audit entry, from 1 to `i64::MAX`.
pub fn audit_index() -> impl Strategy<Value = AuditIndex> {
    positive().prop_map(|number| AuditIndex::new(number.unsigned_abs()))
}

/// A `UUIDv7`, also the lowest and the highest there is.
fn uuid_v7() -> impl Strategy<Value = Uuid> {
    let bits = prop_oneof![1 => Just(0), 1 => Just(u128::MAX), 8 => any::<u128>()];
    bits.prop_map(|bits| {
        const FIXED: u128 = (0xf << 76) | (0b11 << 62);
        const FORM: u128 = (7 << 76) | (0b10 << 62);
        Uuid::from_u128(bits & !FIXED | FORM)
    })
}

/// The id of an event.
pub fn event_id() -> impl Strategy<Value = EventId> {
    uuid_v7().prop_map(EventId::new)
}

/// The id of a changeset.
pub fn changeset_id() -> impl Strategy<Value = ChangesetId> {
    uuid_v7().prop_map(ChangesetId::new)
}

/// The id of a session or an API key: that of a session is any UUID.
pub fn credential_id() -> impl Strategy<Value = CredentialId> {
    prop_oneof![uuid_v7(), any::<u128>().prop_map(Uuid::from_u128)].prop_map(CredentialId::new)
}

/// The id of a log.
pub fn log_id() -> impl Strategy<Value = LogId> {
    uuid_v7().prop_map(LogId::new)
}

/// A time: of our days, around the epoch, or anywhere in the years 0 to 9999, often at an edge.
pub fn timestamp() -> impl Strategy<Value = Timestamp> {
    const DAYS_2020: i64 = 1_577_836_800_000_000;
    const DAYS_2040: i64 = 2_208_988_800_000_000;
    const EDGES: [i64; 4] = [Timestamp::MIN.micros(), Timestamp::MAX.micros(), -1, 0];
    prop_oneof![
        4 => DAYS_2020..DAYS_2040,
        2 => -2_000..2_000_i64,
        2 => proptest::sample::select(&EDGES[..]),
        1 => Timestamp::MIN.micros()..=Timestamp::MAX.micros(),
    ]
    .prop_map(|micros| Timestamp::from_micros(micros).expect("between the first time and the last"))
}
