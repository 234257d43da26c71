//! What makes a group of changesets true: one statement, which is a transaction by itself and takes one round trip.

use std::collections::BTreeSet;

use alm_core::{
    changeset::{Changeset, Write},
    domain::Position,
};
use sqlx::PgConnection;

use crate::error::Fault;

use super::{
    apps, decided, deployments,
    events::{self, Sealing},
    guards::Parents,
    idempotency,
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
    let guards = changesets.iter().flat_map(|changeset| changeset.guards());
    // Each parent once, in the order in which they are locked elsewhere.
    let wanted = guards.map(Parents::of).collect::<Result<BTreeSet<_>, _>>()?;
    for parents in Parents::ALL {
        let ids: Vec<i64> = wanted.iter().filter(|(of, _)| *of == parents).map(|(_, id)| *id).collect();
        parts.add(parents.held(), ids.len(), |statement| parents.hold(statement, &ids));
    }
    Ok(())
}
