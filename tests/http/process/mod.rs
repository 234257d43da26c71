//! The example server as a process of its own: what it reads, says and leaves.

mod audit;
mod draining;
mod health;
mod keys;
mod letters;
mod logs;
mod outages;
mod postgres;
mod rotation;
mod serving;
mod settings;
mod stopping;
mod storage;
mod tls;
#[cfg(feature = "otlp")]
mod traces;

use alm_test_support::process::{Process, run};

use crate::support::Client;

/// Clients of a server in a process of its own.
trait Clients {
    /// A client of the server at the address that it logged with `message`.
    fn client_of(&mut self, message: &str) -> Client;

    fn client(&mut self) -> Client {
        self.client_of("listening")
    }
}

impl Clients for Process {
    fn client_of(&mut self, message: &str) -> Client {
        Client::new(format!("http://{}", self.address_of(message)))
    }
}
