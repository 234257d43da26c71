//! What must hold before the first write.

use std::collections::BTreeSet;

use alm_core::{changeset::Guard, domain::ParentId, ports::StoreError};
use sqlx::SqliteConnection;

use super::{
    apps, parents,
    rows::{all_exist, exists},
    versions,
};

pub(super) async fn check(connection: &mut SqliteConnection, guard: Guard) -> Result<(), StoreError> {
    let holds = match guard {
        Guard::AppExists(id) => exists(connection, apps::EXISTS, id.get()).await?,
        Guard::VersionExists(id) => exists(connection, versions::EXISTS, id.get()).await?,
        Guard::ParentKnown(parent) => parents::is_live(connection, parent).await?,
        _ => return Err(StoreError::Unsupported("this guard")),
    };
    if holds { Ok(()) } else { Err(StoreError::GuardFailed(guard)) }
}

/// Whether all of the guards hold; one that this store does not know does not.
pub(super) async fn all_hold(
    connection: &mut SqliteConnection,
    guards: impl Iterator<Item = Guard>,
) -> Result<bool, StoreError> {
    let (mut apps, mut versions) = (BTreeSet::new(), BTreeSet::new());
    let (mut known_apps, mut known_versions) = (BTreeSet::new(), BTreeSet::new());
    for guard in guards {
        match guard {
            Guard::AppExists(id) => apps.insert(id.get()),
            Guard::VersionExists(id) => versions.insert(id.get()),
            Guard::ParentKnown(ParentId::App(id)) => known_apps.insert(id.get()),
            Guard::ParentKnown(ParentId::Version(id)) => known_versions.insert(id.get()),
            _ => return Ok(false),
        };
    }
    let wanted = [
        ("alm_apps", apps),
        ("alm_versions", versions),
        (parents::LIVE_APPS, known_apps),
        (parents::LIVE_VERSIONS, known_versions),
    ];
    for (table, ids) in wanted {
        if !all_exist(connection, table, &ids).await? {
            return Ok(false);
        }
    }
    Ok(true)
}
