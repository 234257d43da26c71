//! What benches commit.

use alm_core::{
    changeset::{Change, Changeset, Guard, Stamp},
    domain::{
        Actor, App, AppId, AppName, Changelog, ChangesetId, Description, EventId, Labels, Revision, Tag, Timestamp,
        Version, VersionId,
    },
    ports::{Clock, Ids, SystemClock, SystemIds},
};

fn stamp() -> Stamp {
    Stamp {
        changeset: ChangesetId::new(SystemIds.uuid_v7()),
        at: SystemClock.now(),
        actor: Actor::system(),
        trace: None,
    }
}

fn event() -> EventId {
    EventId::new(SystemIds.uuid_v7())
}

/// The app that all versions are of.
pub(crate) fn app() -> Changeset {
    let stamp = stamp();
    let app = App {
        id: AppId::new(1).expect("positive"),
        name: AppName::parse("billing").expect("a name"),
        description: Description::default(),
        labels: Labels::default(),
        created_at: stamp.at,
        updated_at: stamp.at,
        revision: Revision::FIRST,
    };
    Changeset::of(stamp, Change::app_created(&app), event())
}

pub(crate) fn version(number: i64, at: Timestamp) -> Version {
    Version {
        id: VersionId::new(number).expect("positive"),
        app_id: AppId::new(1).expect("positive"),
        tag: Tag::parse(format!("v1.0.{number}")).expect("a tag"),
        changelog: Changelog::parse("bug fixes").expect("a changelog"),
        labels: Labels::default(),
        created_at: at,
        updated_at: at,
        revision: Revision::FIRST,
    }
}

/// A new version: the row, its tag, its place in its app, the guard, the event.
pub(crate) fn version_created(number: i64) -> Changeset {
    let stamp = stamp();
    let version = version(number, stamp.at);
    Changeset::of(stamp, Change::version_created(&version), event()).guarded(Guard::AppExists(version.app_id))
}
