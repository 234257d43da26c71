//! Statements that are put together from parts, and rows that come with them.

use sqlx::{Encode, Postgres, QueryBuilder, Type};

/// A statement in the making.
pub(super) type Statement = QueryBuilder<Postgres>;

/// Rows that come with a statement: an array for each column, so that it is the same statement for one row and for many.
pub(super) struct Rows<'s> {
    statement: &'s mut Statement,
    columns: usize,
}

impl<'s> Rows<'s> {
    /// They stand where the statement is now.
    pub(super) fn of(statement: &'s mut Statement) -> Self {
        statement.push("unnest(");
        Self { statement, columns: 0 }
    }

    /// The next column, of this type of arrays.
    pub(super) fn column<'t, T>(self, array: &'static str, values: impl Iterator<Item = T>) -> Self
    where
        Vec<T>: Encode<'t, Postgres> + Type<Postgres>,
    {
        if self.columns > 0 {
            self.statement.push(", ");
        }
        self.statement.push_bind(values.collect::<Vec<T>>()).push("::").push(array);
        Self { columns: self.columns + 1, ..self }
    }

    /// What the rows and their columns are called.
    pub(super) fn called(self, names: &'static str) -> &'s mut Statement {
        self.statement.push(") AS ").push(names)
    }

    /// As [`called`](Self::called), and after the columns comes the place of the row, from 1 on.
    pub(super) fn numbered(self, names: &'static str) -> &'s mut Statement {
        self.statement.push(") WITH ORDINALITY AS ").push(names)
    }
}
