//! The HTTP API over a real socket, held against its contract and its own `OpenAPI` document.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod apps;
mod attacks;
mod audit;
mod audit_tree;
mod bodies;
mod bounds;
mod browsers;
mod cascade;
mod conditional;
mod deployments;
mod docs;
mod environments;
mod events;
mod faults;
mod fields;
mod filters;
mod gateway;
mod idempotency;
mod identity;
mod login;
mod matrix;
mod nesting;
mod operations;
mod pages;
mod parameters;
mod passwords;
mod permissions;
mod problems;
mod process;
mod races;
mod request_headers;
mod retention;
mod services;
mod sessions;
mod streams;
mod support;
mod twins;
mod users;
mod versions;
