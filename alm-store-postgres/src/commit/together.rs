//! What makes a group of changesets true: one statement, which is a transaction by itself and takes one round trip.

use alm_core::{
    changeset::{Changeset, Guard, Write},
    domain::Position,
    ports::StoreError,
};
use sqlx::PgConnection;

use crate::error::Fault;

use super::{
    apps, decided, deployments,
    events::{self, Sealing},
    hold, idempotency,
    statement::Statement,
    values, versions,
};

/// A statement in the making, of parts that each give a row for each thing that they did.
struct Parts {
    statement: Statement,
    /// How many rows each part must have given.
    expected: Vec<(&'static str, usize)>,
}

impl Parts {
    /// A part of this name that does so many things, if there are any to do.
    fn add(&mut self, name: &'static str, things: usize, does: impl FnOnce(&mut Statement)) {
        if things > 0 {
            self.statement.push(name).push(" AS (");
            does(&mut self.statement);
            self.statement.push("), ");
            self.expected.push((name, things));
        }
    }
}

/// Makes all of the changesets true, or fails: which of them is at fault is not known then, and nothing was done.
///
/// All parts see the state from before the statement, so a group in which one follows from another fails.
pub(super) async fn apply_together(
    connection: &mut PgConnection,
    changesets: &[&Changeset],
) -> Result<Option<Position>, Fault> {
    let mut parts = Parts { statement: Statement::new("WITH "), expected: Vec::new() };
    add_guards(&mut parts, changesets)?;

    let writes: Vec<_> = changesets.iter().flat_map(|changeset| decided(changeset)).collect();
    let new = values!(writes, Write::InsertApp(app) => app);
    parts.add("new_apps", new.len(), |statement| apps::insert(statement, &new));
    let new = values!(writes, Write::InsertVersion(version) => version);
    parts.add("new_versions", new.len(), |statement| versions::insert(statement, &new));
    let new = values!(writes, Write::InsertDeployment(deployment) => deployment);
    parts.add("new_deployments", new.len(), |statement| deployments::insert(statement, &new));
    let changed = values!(writes, Write::UpdateDeployment { deployment, expected } => (deployment, *expected));
    parts.add("changed_deployments", changed.len(), |statement| deployments::update(statement, &changed));
    let answers = values!(writes, Write::RememberOutcome(record), at => (record, at));
    let Parts { mut statement, mut expected } = parts;
    if !answers.is_empty() {
        idempotency::remember(&mut statement, &answers);
        statement.push(", ");
        expected.push(("remembered", answers.len()));
    }

    // Asked for, each part is done before what follows: the order of the log is taken when all row locks are held.
    statement.push("made AS MATERIALIZED (SELECT must_hold(true");
    for (name, things) in expected {
        let things = i64::try_from(things).unwrap_or(i64::MAX);
        statement.push(" AND (SELECT count(*) FROM ").push(name).push(") = ").push_bind(things);
    }
    statement.push(") AS all_of_it), ");
    events::appended(&mut statement, changesets, Sealing::Now, " FROM made WHERE all_of_it");
    events::head(&mut statement, connection).await
}

fn add_guards(parts: &mut Parts, changesets: &[&Changeset]) -> Result<(), Fault> {
    let (mut of_apps, mut of_versions) = (Vec::new(), Vec::new());
    for guard in changesets.iter().flat_map(|changeset| changeset.guards()) {
        match guard {
            Guard::AppExists(id) => of_apps.push(id.get()),
            Guard::VersionExists(id) => of_versions.push(id.get()),
            _ => return Err(StoreError::Unsupported("this guard").into()),
        }
    }
    for (name, table, mut ids) in [("held_apps", "apps", of_apps), ("held_versions", "versions", of_versions)] {
        ids.sort_unstable();
        ids.dedup();
        parts.add(name, ids.len(), |statement| hold(statement, table, &ids));
    }
    Ok(())
}
