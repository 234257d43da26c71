//! Values on their way into rows and out of them.

use std::fmt::{Debug, Display};

use alm_core::{
    domain::{Rejected, Timestamp},
    ports::{BackendError, StoreError},
};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Column as _, Decode, Row as _, Sqlite, Type, ValueRef as _, sqlite::SqliteRow};

use crate::error::{ADAPTER, corrupt};

/// The columns of a row, read from left to right.
pub(crate) struct Columns<'r> {
    row: &'r SqliteRow,
    table: &'static str,
    // Where the columns of the table begin; the first is its key.
    first: usize,
    next: usize,
}

impl<'r> Columns<'r> {
    /// Of a row that begins with the key of `table`.
    pub(crate) fn of(table: &'static str, row: &'r SqliteRow) -> Self {
        Self { row, table, first: 0, next: 0 }
    }

    /// What follows is from another table, beginning with its key.
    pub(crate) fn then(self, table: &'static str) -> Self {
        Self { table, first: self.next, ..self }
    }

    /// Whether a row was joined whose key is the next column.
    pub(crate) fn are_there(&self) -> Result<bool, StoreError> {
        let key = self.row.try_get_raw(self.next).map_err(|error| self.corrupt(self.next, &error))?;
        Ok(!key.is_null())
    }

    /// The next column.
    pub(crate) fn take<T: Decode<'r, Sqlite> + Type<Sqlite>>(&mut self) -> Result<T, StoreError> {
        let place = self.next;
        self.next += 1;
        self.row.try_get(place).map_err(|error| self.corrupt(place, &error))
    }

    /// The next column, as what `parse` makes of it.
    pub(crate) fn parse<T, U, E>(&mut self, parse: impl FnOnce(T) -> Result<U, E>) -> Result<U, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
        E: Display,
    {
        let place = self.next;
        parse(self.take()?).map_err(|error| self.corrupt(place, &error))
    }

    /// The next column, as what `find` knows it as.
    pub(crate) fn find<T, U>(&mut self, find: impl FnOnce(T) -> Option<U>) -> Result<U, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        self.parse(|value| find(value).ok_or("it is not one that ALM knows"))
    }

    /// The next column, a text with rules.
    pub(crate) fn text<T: TryFrom<String, Error = Rejected>>(&mut self) -> Result<T, StoreError> {
        self.parse(|text: String| T::try_from(text))
    }

    /// The next column, a count.
    pub(crate) fn count<T>(&mut self, new: impl FnOnce(u64) -> T) -> Result<T, StoreError> {
        self.parse(|number: i64| u64::try_from(number).map(new))
    }

    /// The next column, a time.
    pub(crate) fn time(&mut self) -> Result<Timestamp, StoreError> {
        self.find(Timestamp::from_micros)
    }

    /// The next column, a JSON text.
    pub(crate) fn json<T: DeserializeOwned>(&mut self) -> Result<T, StoreError> {
        self.parse(|text: &str| serde_json::from_str(text))
    }

    fn corrupt(&self, place: usize, error: &dyn Display) -> StoreError {
        let (table, column, key) = (self.table, self.row.column(place).name(), self.key());
        corrupt("read", format!("table {table}, column {column}, row {key}: {error}"))
    }

    fn key(&self) -> String {
        fn shown<T: Debug, E>(key: Result<T, E>) -> Option<String> {
            key.ok().map(|key| format!("{key:?}"))
        }
        shown(self.row.try_get::<i64, _>(self.first))
            .or_else(|| shown(self.row.try_get::<&str, _>(self.first)))
            .or_else(|| shown(self.row.try_get::<&[u8], _>(self.first)))
            .unwrap_or_default()
    }
}

/// A number that is to be stored.
pub(crate) fn stored(number: u64) -> Result<i64, StoreError> {
    number.try_into().map_err(|error| BackendError::internal(ADAPTER, "commit").with_source(error).into())
}

/// A number that is looked for: what is stored is never higher than the highest.
pub(crate) fn sought(number: u64) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// At most so many rows.
pub(crate) fn at_most(limit: usize) -> i64 {
    limit.try_into().unwrap_or(i64::MAX)
}

/// A value as a JSON text. JSON escapes NUL, and each number comes back as it was.
pub(crate) fn json_text(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| BackendError::internal(ADAPTER, "commit").with_source(error).into())
}
