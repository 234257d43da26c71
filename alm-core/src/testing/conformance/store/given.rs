//! What cases start from: a store with something of everything that it keeps, and parts to make changesets of.

use std::{collections::BTreeSet, sync::Arc};

pub(super) use crate::testing::conformance::tasks::{at_once, ended, start};

use crate::{
    changeset::{Change, Changeset, Guard, Receipt},
    domain::{AppName, DeploymentStatus, LogId, ParentId, PasswordHash, Revision, Role, SessionEnd, UserRecord},
    ports::{Store, StoreError},
    testing::{
        conformance::{StoreCapability, must::Must},
        fixtures::{
            account, answer, api_key, app, app_id, at, checkpoint, credential_id, deployment, entry, event_id, letter,
            secret_hash, session, stamp, successful, username, version, version_id,
        },
    },
};

use super::subject::Subject;

use StoreCapability::{Accounts, Apps, Audit, Deployments, Parents, Versions};

/// One part of a changeset.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Change(Box<Change>),
    Audit,
    Letter,
    Known(ParentId),
    Gone(ParentId),
    Rehash,
    Revoked(u128),
    Remember(&'static str),
    Guard(Guard),
}

fn change(change: Change) -> Part {
    Part::Change(Box::new(change))
}

/// A part, and what a store must keep to understand it; `None` when every store does.
type Needing = (Option<StoreCapability>, Part);

fn that_it_can(subject: &Subject, parts: Vec<Needing>) -> Vec<Part> {
    let can = |needed: &Option<StoreCapability>| needed.is_none_or(|needed| subject.can(needed));
    parts.into_iter().filter(|(needed, _)| can(needed)).map(|(_, part)| part).collect()
}

/// Fills the store with something of everything that it keeps; the consumer `reader` stands at 3. Gives the changesets.
pub(super) async fn populate(subject: &Subject) -> Vec<Changeset> {
    let store = subject.store();
    let parts = vec![
        (Some(Apps), change(Change::app_created(&app(1, "a")))),
        (Some(Apps), change(Change::app_created(&app(2, "b")))),
        (Some(Apps), change(Change::app_created(&app(3, "c")))),
        (Some(Versions), change(Change::version_created(&version(1, 1, "v1")))),
        (Some(Versions), change(Change::version_created(&version(2, 1, "v2")))),
        (Some(Versions), change(Change::version_created(&version(3, 2, "v1")))),
        (Some(Deployments), change(Change::deployment_created(&successful(1, 1, 1, 1)))),
        (Some(Deployments), change(Change::deployment_created(&successful(2, 2, 1, 2)))),
        (Some(Deployments), change(Change::deployment_created(&deployment(3, 3, 2)))),
        (Some(Accounts), change(Change::user_created(&account("ada")))),
        (Some(Accounts), change(Change::user_created(&account("bob")))),
        (Some(Accounts), change(Change::user_created(&account("eve")))),
        (Some(Accounts), change(Change::credential_created(&session(1, &account("ada"))))),
        (Some(Accounts), change(Change::credential_created(&session(2, &account("bob"))))),
        (Some(Accounts), change(Change::credential_created(&api_key(3, "ci")))),
        (Some(Accounts), change(Change::credential_created(&api_key(4, "cd")))),
        (Some(Audit), Part::Audit),
        (None, Part::Remember("ada")),
        (None, Part::Letter),
        (Some(Parents), Part::Known(ParentId::App(app_id(1)))),
        (Some(Parents), Part::Known(ParentId::Version(version_id(1)))),
        (Some(Parents), Part::Gone(ParentId::Version(version_id(2)))),
        (Some(Parents), Part::Revoked(1)),
        (None, change(failed())),
    ];
    let changeset = changeset(store.log_id(), &that_it_can(subject, parts), 0);
    store.commit(changeset.clone()).await.must("commit something of everything that the store keeps");
    vec![changeset]
}

/// Parts that can all be committed together, in any order, to what [`populate`] has made.
pub(super) fn sound_parts(subject: &Subject) -> Vec<Part> {
    let next = Revision::FIRST.next();
    let mut renamed = app(2, "renamed");
    renamed.revision = next;
    let mut changed = version(3, 2, "v1");
    changed.revision = next;
    let mut moved = successful(3, 3, 2, 5);
    moved.revision = next;
    let hash = PasswordHash::new("other");
    let key = api_key(3, "ci");
    let renewed = key.renewed(secret_hash(9), at(8), at(90));
    let promoted = account("eve").user.update(Role::Admin, BTreeSet::new()).expect("a change");
    let parts = vec![
        (Some(Apps), change(Change::app_created(&app(4, "new")))),
        (Some(Apps), change(Change::app_updated(&renamed, Revision::FIRST))),
        (Some(Apps), change(Change::app_deleted(&app(3, "c")))),
        (Some(Versions), change(Change::version_created(&version(4, 1, "v3")))),
        (Some(Versions), change(Change::version_updated(&changed, Revision::FIRST))),
        (Some(Versions), change(Change::version_deleted(&version(2, 1, "v2")))),
        (Some(Deployments), change(Change::deployment_created(&successful(4, 1, 1, 9)))),
        (Some(Deployments), change(Change::deployment_updated(&moved, Revision::FIRST, DeploymentStatus::Pending))),
        (Some(Deployments), change(Change::deployment_deleted(&successful(2, 2, 1, 2)))),
        (Some(Accounts), change(Change::user_created(&account("new")))),
        (Some(Accounts), change(Change::user_deleted(&username("bob")))),
        (Some(Accounts), change(Change::password_changed(&account("ada"), hash))),
        (Some(Accounts), change(Change::user_updated(&promoted, Revision::FIRST))),
        (Some(Accounts), Part::Rehash),
        (Some(Accounts), change(Change::credential_created(&session(5, &account("ada"))))),
        (Some(Accounts), change(Change::credential_renewed(&renewed, key.revision))),
        (Some(Accounts), change(Change::credential_ended(&api_key(4, "cd"), SessionEnd::Logout, at(9)))),
        (None, change(failed())),
        (Some(Audit), Part::Audit),
        (None, Part::Letter),
        (Some(Parents), Part::Known(ParentId::App(app_id(2)))),
        (Some(Parents), Part::Gone(ParentId::Version(version_id(1)))),
        (Some(Parents), Part::Revoked(2)),
        (None, Part::Remember("new")),
        (Some(Apps), Part::Guard(Guard::AppExists(app_id(1)))),
        (Some(Versions), Part::Guard(Guard::VersionExists(version_id(1)))),
        (Some(Parents), Part::Guard(Guard::ParentKnown(ParentId::Version(version_id(1))))),
    ];
    that_it_can(subject, parts)
}

/// Parts that can't be committed to what [`populate`] has made, whichever of the sound parts stand beside them; each with the
/// code of the error.
pub(super) fn broken_parts(subject: &Subject) -> Vec<(Part, &'static str)> {
    let other = Revision::new(7);
    let mut taken = app(1, "a");
    taken.name = AppName::parse("new").expect("the name of an app");
    let mut stale = successful(1, 1, 1, 1);
    stale.revision = other;
    let hash = PasswordHash::new("x");
    let has_another = UserRecord { password_hash: PasswordHash::new("another"), ..account("ada") };
    let (exists, missing, conflict) = ("already-exists", "not-found", "conflict");
    let parts = vec![
        (Some(Apps), exists, change(Change::app_created(&app(9, "a")))),
        (Some(Apps), exists, change(Change::app_created(&app(1, "free")))),
        (Some(Apps), conflict, change(Change::app_updated(&app(1, "free"), other))),
        (Some(Apps), missing, change(Change::app_updated(&app(77, "free"), other))),
        (Some(Apps), missing, change(Change::app_deleted(&app(77, "free")))),
        (Some(Versions), exists, change(Change::version_created(&version(9, 1, "v1")))),
        (Some(Versions), exists, change(Change::version_created(&version(1, 1, "free")))),
        (Some(Versions), conflict, change(Change::version_updated(&version(1, 1, "v1"), other))),
        (Some(Versions), missing, change(Change::version_deleted(&version(77, 1, "free")))),
        (Some(Deployments), exists, change(Change::deployment_created(&deployment(1, 1, 1)))),
        (Some(Deployments), conflict, change(Change::deployment_deleted(&stale))),
        (Some(Deployments), missing, change(Change::deployment_deleted(&deployment(77, 1, 1)))),
        (Some(Accounts), exists, change(Change::user_created(&account("ada")))),
        (Some(Accounts), missing, change(Change::user_deleted(&username("nobody")))),
        (Some(Accounts), missing, change(Change::password_changed(&account("nobody"), hash.clone()))),
        (Some(Accounts), conflict, change(Change::password_changed(&has_another, hash))),
        (Some(Accounts), conflict, change(Change::user_updated(&account("eve").user, other))),
        (Some(Accounts), missing, change(Change::user_updated(&account("nobody").user, other))),
        (Some(Accounts), exists, change(Change::credential_created(&session(3, &account("ada"))))),
        (Some(Accounts), exists, change(Change::credential_created(&api_key(9, "ci")))),
        (Some(Accounts), conflict, change(Change::credential_renewed(&api_key(3, "ci"), other))),
        (Some(Accounts), missing, change(Change::credential_renewed(&api_key(77, "free"), other))),
        (Some(Accounts), missing, change(Change::credential_ended(&api_key(77, "free"), SessionEnd::Logout, at(9)))),
        (None, exists, Part::Remember("ada")),
        (Some(Apps), "guard-failed", Part::Guard(Guard::AppExists(app_id(77)))),
        (Some(Versions), "guard-failed", Part::Guard(Guard::VersionExists(version_id(77)))),
        (Some(Parents), "guard-failed", Part::Guard(Guard::ParentKnown(ParentId::App(app_id(77))))),
        (Some(Parents), "guard-failed", Part::Guard(Guard::ParentKnown(ParentId::Version(version_id(2))))),
    ];
    let can = |needed: &Option<StoreCapability>| needed.is_none_or(|needed| subject.can(needed));
    parts.into_iter().filter(|(needed, ..)| can(needed)).map(|(_, code, part)| (part, code)).collect()
}

/// A changeset of `parts` in which the consumer `reader` moves on by 3 from `from`.
pub(super) fn changeset(log: LogId, parts: &[Part], from: u64) -> Changeset {
    let start = Changeset::progress(stamp(0), checkpoint(log, from, from + 3));
    parts.iter().cloned().fold(start, |changeset, part| match part {
        Part::Change(change) => changeset.and(*change, event_id()),
        Part::Audit => changeset.recording(entry("payload")),
        Part::Letter => changeset.burying(letter(log, from + 1, "reason")),
        Part::Known(parent) => changeset.knowing(parent, app_id(1)),
        Part::Gone(parent) => changeset.parting(parent),
        Part::Rehash => {
            let (old, new) = (account("eve").password_hash, PasswordHash::new("anew"));
            changeset.rehashing(&username("eve"), old, new)
        }
        Part::Revoked(id) => changeset.revoking(credential_id(id), at(1_000)),
        Part::Remember(key) => changeset.remembering(answer(key, "outcome", 0, 100)),
        Part::Guard(guard) => changeset.guarded(guard),
    })
}

/// A change that every store understands: someone could not log in.
pub(super) fn failed() -> Change {
    Change::login_failed(&username("ada"))
}

/// Commits `changeset`, as a task of its own.
pub(super) async fn send(store: Handle, changeset: Changeset) -> Result<Receipt, StoreError> {
    store.commit(changeset).await
}

/// The store as tasks take it along.
pub(super) type Handle = Arc<dyn Store>;
