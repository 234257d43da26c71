//! The transaction around a commit: its end, its retries, and what is known when it fails.

use std::time::Duration;

use alm_core::{
    changeset::{Changeset, Receipt},
    domain::Position,
    ports::{Outcome, StoreError},
};
use sqlx::{Connection, PgConnection};

use crate::{
    error::{Fault, backend, is_connection_lost, is_known_changeset, is_serialization_failure, is_unanswered},
    pool::Pool,
    schema::SchemaName,
};

use super::{apply, events::Sealing, receipt};

const OPERATION: &str = "commit";

/// How often a commit is tried that the database itself gave up.
const ATTEMPTS: u32 = 6;

/// A commit that failed.
enum Failure {
    /// That is the answer.
    Final(StoreError),
    /// That is the answer, and the connection is of no use any more.
    Broken(StoreError),
    /// Nothing was applied, and the same may go well now.
    Passing(sqlx::Error),
}

/// Commits in a transaction of its own. Gives also the head of the log that is reached by it, if the events have got their
/// positions with it.
pub(crate) async fn commit(pool: &Pool, changeset: &Changeset) -> Result<(Receipt, Option<Position>), StoreError> {
    let mut pause = Duration::from_millis(2);
    let mut connection = pool.take().await.map_err(|error| backend(OPERATION, error, Outcome::NotApplied))?;
    for attempt in 1.. {
        let error = match once(pool, &mut connection, changeset).await {
            Ok(done) => {
                connection.give_back();
                return Ok(done);
            }
            Err(Failure::Final(error)) => {
                connection.give_back();
                return Err(error);
            }
            Err(Failure::Passing(error)) => error,
            Err(Failure::Broken(error)) => return Err(error),
        };
        if attempt == ATTEMPTS {
            return Err(backend(OPERATION, error, Outcome::NotApplied));
        }
        tracing::debug!(attempt, error = &error as &dyn std::error::Error, "the commit is tried again");
        if is_connection_lost(&error) {
            drop(connection);
            connection = pool.take_sound().await.map_err(|error| backend(OPERATION, error, Outcome::NotApplied))?;
        } else {
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
    unreachable!("the last attempt returns")
}

async fn once(
    pool: &Pool,
    connection: &mut PgConnection,
    changeset: &Changeset,
) -> Result<(Receipt, Option<Position>), Failure> {
    // When this future is dropped, the transaction ends with the connection.
    let mut transaction = pool.answer(1, connection.begin()).await.map_err(not_committed)?;
    let fault = match pool.answer(statements(changeset), apply(&mut transaction, changeset, Sealing::Now)).await {
        Ok(head) => {
            tracing::trace!(name: "commit_begun", "a transaction is to be committed");
            // From here on only the database knows.
            return match pool.answer(1, transaction.commit()).await {
                Ok(()) => {
                    tracing::trace!(name: "commit_done", "a transaction is committed");
                    Ok((changeset.receipt(), head))
                }
                Err(error) if is_serialization_failure(&error) => Err(Failure::Passing(error)),
                Err(error) => Err(Failure::Broken(backend(OPERATION, error, Outcome::Unknown))),
            };
        }
        Err(fault) => fault,
    };
    match fault {
        Fault::Sql(error) if !is_known_changeset(&error) => Err(not_committed(error)),
        fault => {
            pool.answer(1, transaction.rollback()).await.map_err(not_committed)?;
            let first = pool.answer(1, first_receipt(connection, changeset, fault)).await;
            first.map(|receipt| (receipt, None)).map_err(|fault| match fault {
                Fault::Refused(error) => Failure::Final(error),
                Fault::Sql(error) if is_known_changeset(&error) => Failure::Passing(error),
                Fault::Sql(error) => not_committed(error),
            })
        }
    }
}

/// How many statements it takes at most to apply a changeset.
fn statements(changeset: &Changeset) -> usize {
    // A write that is refused takes a second one to tell why; the others are the checkpoint, the audit entries and the events.
    2 * changeset.writes().len() + changeset.guards().len() + 3
}

/// An error before the commit was asked for: the server undoes the transaction with the connection.
fn not_committed(error: sqlx::Error) -> Failure {
    if is_serialization_failure(&error) || is_connection_lost(&error) {
        return Failure::Passing(error);
    }
    let unanswered = is_unanswered(&error);
    let error = backend(OPERATION, error, Outcome::NotApplied);
    if unanswered { Failure::Broken(error) } else { Failure::Final(error) }
}

/// The receipt of a changeset that was committed before and can't be committed now; else the fault.
async fn first_receipt(connection: &mut PgConnection, changeset: &Changeset, fault: Fault) -> Result<Receipt, Fault> {
    if changeset.events().is_empty() {
        return Err(fault);
    }
    receipt(connection, changeset.id()).await?.ok_or(fault)
}

/// Commits in the transaction of the host, within a savepoint: after a fault the transaction is as it was.
pub(crate) async fn commit_in(
    connection: &mut PgConnection,
    schema: &SchemaName,
    changeset: &Changeset,
) -> Result<Receipt, StoreError> {
    let told = |error| backend("commit in a transaction", error, Outcome::NotApplied);
    let hosts_path: String =
        sqlx::query_scalar("SELECT current_setting('search_path')").fetch_one(&mut *connection).await.map_err(told)?;
    sqlx::query("SAVEPOINT alm_commit").execute(&mut *connection).await.map_err(told)?;
    look_in(connection, &schema.search_path()).await.map_err(told)?;
    let outcome = match apply(connection, changeset, Sealing::Later).await {
        Err(fault) if is_lost(&fault) => return Err(fault.told("commit in a transaction")),
        Err(fault) => {
            // The search path goes back as well, so it is set again to look for the receipt.
            sqlx::query("ROLLBACK TO SAVEPOINT alm_commit").execute(&mut *connection).await.map_err(told)?;
            look_in(connection, &schema.search_path()).await.map_err(told)?;
            first_receipt(connection, changeset, fault).await
        }
        Ok(_) => Ok(changeset.receipt()),
    };
    look_in(connection, &hosts_path).await.map_err(told)?;
    sqlx::query("RELEASE SAVEPOINT alm_commit").execute(&mut *connection).await.map_err(told)?;
    outcome.map_err(|fault| fault.told("commit in a transaction"))
}

fn is_lost(fault: &Fault) -> bool {
    matches!(fault, Fault::Sql(error) if is_connection_lost(error))
}

/// Sets the search path until the transaction ends.
async fn look_in(connection: &mut PgConnection, search_path: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT set_config('search_path', $1, true)").bind(search_path).execute(connection).await?;
    Ok(())
}
