//! What handlers take: each extractor checks its part of a request and refuses it with a problem.

mod body;
mod caller;
mod conditional;
mod cursor;
mod id;
mod listing;
mod params;

pub(crate) use body::{Fingerprinted, Post, Put, Unauthenticated, integer, one_of, optional_integer, sha256};
pub(crate) use caller::{Asking, Caller, Query, bearer};
pub(crate) use conditional::{IfMatch, IfNoneMatch, precondition};
pub(crate) use cursor::{cursor_of, parse_cursor};
pub(crate) use id::{FromPath, PathId};
pub(crate) use listing::{Listing, Narrowing};
pub(crate) use params::{NoParams, Params, body_id, labels, named, numeric_cursor, positive, rejected};
