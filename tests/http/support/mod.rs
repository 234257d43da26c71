//! A server of its own for each test, and a client that holds every answer against the `OpenAPI` document.

mod answer;
mod call;
mod document;
mod given;
mod schema;
mod server;
mod store;
mod stream;

pub(crate) use alm_test_support::{LONG, eventually};

pub(crate) use answer::Answer;
pub(crate) use call::{Call, Client};
pub(crate) use document::{Document, Operation};
pub(crate) use given::{Given, PASSWORD, pairs};
pub(crate) use server::{SECRET, Server, Setup, jwt, signer, token};
pub(crate) use store::{Fate, INTERNALS, a_faulty_store};
pub(crate) use stream::Stream;

/// The member `name` of each of `items`.
#[track_caller]
pub(crate) fn each<'a>(items: &'a serde_json::Value, name: &str) -> Vec<&'a serde_json::Value> {
    items.as_array().expect("a list").iter().map(|item| &item[name]).collect()
}
