//! What must hold before the first write.

use alm_core::{changeset::Guard, ports::StoreError};
use sqlx::SqliteConnection;

use super::{apps, rows::exists, versions};

pub(super) async fn check(connection: &mut SqliteConnection, guard: Guard) -> Result<(), StoreError> {
    let holds = match guard {
        Guard::AppExists(id) => exists(connection, apps::EXISTS, id.get()).await?,
        Guard::VersionExists(id) => exists(connection, versions::EXISTS, id.get()).await?,
        _ => return Err(StoreError::Unsupported("this guard")),
    };
    if holds { Ok(()) } else { Err(StoreError::GuardFailed(guard)) }
}
