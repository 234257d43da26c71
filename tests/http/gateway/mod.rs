//! The gateway, before services that answer and others that misbehave.

mod circuit;
mod contract;
mod directory;
mod environments;
mod faults;
mod given;
mod overview;
mod passing;
mod ready;
mod retries;
mod streaming;
mod wire;
