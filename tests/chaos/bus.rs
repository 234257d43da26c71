//! The stream itself, looked at and written to without ALM.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use alm_test_support::LONG;
use async_nats::{
    HeaderMap,
    jetstream::{self, Context, consumer::Info, message::StreamMessage, stream::Stream},
};
use futures_util::TryStreamExt;

pub(crate) const STREAM: &str = "ALM_EVENTS";

/// The services that read the stream.
const CONSUMERS: usize = 4;

pub(crate) const ID: &str = "Nats-Msg-Id";

/// A client of the tests' own.
pub(crate) struct Bus(Context);

impl Bus {
    pub(crate) async fn connect(url: &str) -> Self {
        let client = async_nats::connect(url.split(',').collect::<Vec<_>>()).await.unwrap();
        Self(jetstream::new(client))
    }

    async fn stream(&self) -> Option<Stream> {
        self.0.get_stream(STREAM).await.ok()
    }

    /// What the server tells of each service that reads.
    async fn consumers(&self) -> Vec<Info> {
        let Some(stream) = self.stream().await else { return Vec::new() };
        stream.consumers().try_collect().await.unwrap_or_default()
    }

    /// How many messages each service has not read, and how many it has read and not acknowledged.
    pub(crate) async fn left(&self) -> BTreeMap<String, (u64, usize)> {
        let consumers = self.consumers().await.into_iter();
        consumers.map(|consumer| (consumer.name, (consumer.num_pending, consumer.num_ack_pending))).collect()
    }

    /// How each service reads, in a line.
    async fn told(&self) -> String {
        let consumers = self.consumers().await;
        let lines = consumers.iter().map(|Info { name, delivered, ack_floor, num_waiting, num_redelivered, .. }| {
            format!(
                "{name}: {delivered:?}, acknowledged {ack_floor:?}, {num_waiting} waiting, {num_redelivered} again\n"
            )
        });
        lines.collect()
    }

    /// Waits until every service has acknowledged every message, but for so many that never can be. Else says what is left.
    pub(crate) async fn is_read(&self, hopeless: usize) -> Result<(), String> {
        let deadline = Instant::now() + 2 * LONG;
        let before = self.told().await;
        loop {
            let left = self.left().await;
            if left.len() == CONSUMERS && left.values().all(|(unread, held)| *unread == 0 && *held <= hopeless) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let now = self.told().await;
                return Err(format!(
                    "of the messages are not read and not acknowledged: {left:?}\nbefore:\n{before}\nnow:\n{now}"
                ));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// All messages of the stream.
    pub(crate) async fn messages(&self) -> Vec<StreamMessage> {
        let mut stream = self.stream().await.expect("there is a stream");
        let state = stream.info().await.unwrap().state.clone();
        let mut messages = Vec::new();
        for sequence in state.first_sequence..=state.last_sequence {
            // Nothing is deleted in it.
            messages.push(stream.get_raw_message(sequence).await.unwrap());
        }
        messages
    }

    /// How often each id of an event is in the stream as its own `Nats-Msg-Id`.
    pub(crate) async fn copies(&self) -> BTreeMap<String, usize> {
        let mut copies = BTreeMap::new();
        for message in self.messages().await {
            if let Some(id) = message.headers.get(ID) {
                *copies.entry(id.as_str().to_owned()).or_default() += 1;
            }
        }
        copies
    }

    /// Puts a message into the stream. False if it is known there by its id.
    pub(crate) async fn put(&self, subject: &str, id: &str, payload: Vec<u8>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(ID, id);
        headers.insert("Content-Type", "application/cloudevents+json");
        let stored = self.0.publish_with_headers(subject.to_owned(), headers, payload.into()).await.unwrap();
        !stored.await.unwrap().duplicate
    }
}
