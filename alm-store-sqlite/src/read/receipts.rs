//! Receipts, which stand on the first event of each changeset.

use alm_core::{changeset::Receipt, domain::ChangesetId, ports::StoreError};
use sqlx::sqlite::SqliteRow;

use super::Statement;
use crate::row::Columns;

const RECEIPT: &str = "SELECT position, changeset, time FROM alm_events WHERE changeset = ?1 AND nth = 0";

/// Asks for the receipt of a changeset.
pub(crate) fn query(changeset: ChangesetId) -> Statement {
    sqlx::query(RECEIPT).bind(changeset.get())
}

/// The receipt in the row that was found.
pub(crate) fn parse(row: &SqliteRow) -> Result<Receipt, StoreError> {
    let mut columns = Columns::of("alm_events", row);
    columns.take::<i64>()?;
    Ok(Receipt { changeset: ChangesetId::new(columns.take()?), at: columns.time()? })
}
