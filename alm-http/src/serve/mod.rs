//! The server's own accept loop. `axum::serve` sets no timer, so a client that never ends its header keeps its connection for
//! ever; here what a client sends has deadlines, and so has the
//! shutdown. What it reads has none yet: a client that never reads its answer holds its connection.

mod accept;
mod body;
mod config;
mod connections;
#[cfg(test)]
mod tests;

pub use body::BodyTimeout;
pub use config::ServeConfig;
pub use connections::{ServeReport, serve};
