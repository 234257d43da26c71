//! The server's own accept loop. `axum::serve` sets no timer, so a client that never ends its header keeps its connection for
//! ever; here everything that a client may draw out has an end, and so has the shutdown.

mod accept;
mod body;
mod config;
mod connections;
#[cfg(test)]
mod tests;

pub use body::BodyTimeout;
pub use config::ServeConfig;
pub use connections::{ServeReport, serve};
