//! The database fails under a server that is at work: clients are told the truth, nothing acknowledged is lost, readiness shows it, and
//! the server is back within five seconds of its database, by itself.

mod at_work;
mod postgres;
mod sqlite;

use at_work::{AtWork, Shows};
