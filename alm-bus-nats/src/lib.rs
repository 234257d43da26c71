//! The [`EventBus`](alm_core::ports::EventBus) of ALM over NATS `JetStream`.
//!
//! Events are `CloudEvents` 1.0 documents in one stream, `ALM_EVENTS`, under subjects such as `alm.v1.versions.created`, with their
//! id as `Nats-Msg-Id`. Each consumer is a durable pull consumer of its own name. Stream and consumers are made when they are
//! first needed, brought up to date when they are not as they must be, and made again when the server has lost them. What the
//! bus has lost is asked of the owner of the log by request and reply; heads are announced on a subject without a stream.
//!
//! ```no_run
//! use std::sync::Arc;
//! use alm_bus_nats::{NatsBus, NatsOptions};
//! use alm_core::{Alm, ports::EventBus};
//! # async fn embed(store: Arc<dyn alm_core::ports::Store>) -> Result<(), Box<dyn std::error::Error>> {
//! let options: NatsOptions = "nats://alm:secret@nats-1:4222,nats-2:4222".parse()?;
//! let bus = NatsBus::connect(options.name("app-service").replicas(3)).await?;
//! let alm = Alm::builder(store).bus(Arc::new(bus)).build();
//! # Ok(())
//! # }
//! ```
//!
//! [`NatsBus::connect`] does not wait for the server: a service starts, and works, while NATS is away. It needs a tokio runtime.
//!
//! # What it relies on
//! - An event counts as published once the stream has acknowledged it. A stream's acknowledgement is no promise of the disk (see
//!   `docs/nats.md`), so the log stays the truth: consumers look at positions, and ask for what is missing.
//! - `JetStream` knows the ids of the last two minutes. Whoever consumes skips what it has seen by its position.
//! - nats-server 2.9 or newer. Nothing that 2.9 does not know is used.

mod acks;
mod api;
mod bus;
mod checkpoints;
mod consumer;
mod fault;
mod heads;
mod link;
mod options;
mod publish;
mod replay;
mod reply;
mod stream;
mod subjects;
mod subscription;
mod url;

pub use bus::NatsBus;
pub use checkpoints::NatsCheckpoints;
pub use options::{NatsOptions, OptionsError, Storage};
