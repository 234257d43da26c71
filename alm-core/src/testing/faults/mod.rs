//! Faults on purpose: a store and a bus that fail when, and how, a test says.
//!
//! [`Faulty`] stands before a store and [`FaultyBus`] before a bus. Each asks its [`Plan`] what becomes of every [`Call`], and
//! the answer is a [`Fault`]. Plans are [scripts](Script), [dice with a seed](Seeded), [switches](Switch) that a test turns
//! while it runs, a single fault for every call, and closures.

mod bus;
mod call;
mod fault;
mod gate;
mod injector;
mod plan;
mod seeded;
mod store;

pub use bus::FaultyBus;
pub use call::{Call, Operation};
pub use fault::Fault;
pub use gate::Gate;
pub use plan::{Plan, Script, Switch};
pub use seeded::Seeded;
pub use store::Faulty;
