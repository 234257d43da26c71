//! What handlers answer.

mod created;
mod entity;
mod page;

pub(crate) use created::{Created201, mark_replayed};
pub(crate) use entity::{Entity, NoContent};
pub(crate) use page::PageOf;
