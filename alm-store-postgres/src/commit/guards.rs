//! Guards: what must hold of parents, to the end of the commit.

use alm_core::{changeset::Guard, domain::ParentId, ports::StoreError};
use sqlx::PgConnection;

use crate::error::Fault;

use super::statement::Statement;

/// The tables that guards are about. The end of a parent deletes its row, or says in it that it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Parents {
    Apps,
    Versions,
    KnownApps,
    KnownVersions,
}

impl Parents {
    pub(super) const ALL: [Self; 4] = [Self::Apps, Self::Versions, Self::KnownApps, Self::KnownVersions];

    /// Those that `guard` is about, and the id of the one.
    pub(super) fn of(guard: &Guard) -> Result<(Self, i64), StoreError> {
        Ok(match guard {
            Guard::AppExists(id) => (Self::Apps, id.get()),
            Guard::VersionExists(id) => (Self::Versions, id.get()),
            Guard::ParentKnown(ParentId::App(id)) => (Self::KnownApps, id.get()),
            Guard::ParentKnown(ParentId::Version(id)) => (Self::KnownVersions, id.get()),
            _ => return Err(StoreError::Unsupported("this guard")),
        })
    }

    /// A name for those that are held.
    pub(super) const fn held(self) -> &'static str {
        match self {
            Self::Apps => "held_apps",
            Self::Versions => "held_versions",
            Self::KnownApps => "held_known_apps",
            Self::KnownVersions => "held_known_versions",
        }
    }

    /// Finds the rows of these ids that are there and live, keeps them so until the transaction ends, and gives their ids in order. In
    /// order they are locked, too, so that no two transactions hold what the other waits for.
    ///
    /// A lock that lets the parent be changed but not end, so a child and the end of its parent exclude each other: one of them
    /// waits, and then sees what the other has done. What lives elsewhere ends by a change, and is changed by little else.
    pub(super) fn hold(self, statement: &mut Statement, ids: &[i64]) {
        let (table, lock) = match self {
            Self::Apps => ("apps WHERE", "KEY SHARE"),
            Self::Versions => ("versions WHERE", "KEY SHARE"),
            Self::KnownApps => ("known_apps WHERE app_id IS NOT NULL AND", "SHARE"),
            Self::KnownVersions => ("known_versions WHERE app_id IS NOT NULL AND", "SHARE"),
        };
        statement.push("SELECT id FROM ").push(table).push(" id = ANY(").push_bind(ids);
        statement.push(") ORDER BY id FOR ").push(lock);
    }
}

pub(super) async fn check(connection: &mut PgConnection, guards: &[Guard]) -> Result<(), Fault> {
    let wanted =
        guards.iter().map(|guard| Ok((Parents::of(guard)?, *guard))).collect::<Result<Vec<_>, StoreError>>()?;
    for parents in Parents::ALL {
        let of_these = wanted.iter().filter(|((of, _), _)| *of == parents);
        all_held(connection, parents, &of_these.map(|((_, id), guard)| (*id, *guard)).collect::<Vec<_>>()).await?;
    }
    Ok(())
}

async fn all_held(connection: &mut PgConnection, parents: Parents, wanted: &[(i64, Guard)]) -> Result<(), Fault> {
    if wanted.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = wanted.iter().map(|(id, _)| *id).collect();
    let mut statement = Statement::default();
    parents.hold(&mut statement, &ids);
    let held: Vec<i64> = statement.build_query_scalar().fetch_all(connection).await?;
    match wanted.iter().find(|(id, _)| held.binary_search(id).is_err()) {
        None => Ok(()),
        Some((_, guard)) => Err(StoreError::GuardFailed(*guard).into()),
    }
}
