//! Heads: whoever listens hears how far a log is.

use std::time::Duration;

use tokio::time::timeout;

use crate::{
    domain::Position,
    ports::{EventBus, Head, Heads},
    testing::conformance::{
        must::Must,
        tasks::{patience, polled_once},
    },
};

use super::{given::a_log, subject::Subject};

/// How long an announcement may be on its way before it counts as lost and is made again.
const AGAIN: Duration = Duration::from_millis(100);

async fn listen(bus: &dyn EventBus) -> Box<dyn Heads> {
    bus.heads().await.must("listen to heads")
}

/// Waits for `head`, past others: those that were announced before, or twice.
async fn heard(heads: &mut dyn Heads, head: Head) {
    while heads.next().await.must("wait for a head") != head {}
}

/// Announces `head` until one who listens has heard it, for an announcement may be lost.
async fn announced_and_heard(bus: &dyn EventBus, heads: &mut dyn Heads, head: Head) {
    let announcing = async {
        loop {
            bus.announce(head).await.must("announce a head");
            if timeout(AGAIN, heard(heads, head)).await.is_ok() {
                break;
            }
        }
    };
    timeout(patience(), announcing).await.unwrap_or_else(|_| panic!("the head that is announced is not heard"));
}

pub(super) async fn a_head_that_is_announced_is_heard_by_all_who_listen(subject: Subject) {
    let bus = subject.bus();
    let (mut one, mut other) = (listen(bus.as_ref()).await, listen(bus.as_ref()).await);
    let (log, another) = (a_log(), a_log());
    for position in [0, 1, 7, u64::MAX] {
        let head = Head { log, position: Position::new(position) };
        announced_and_heard(bus.as_ref(), one.as_mut(), head).await;
        announced_and_heard(bus.as_ref(), other.as_mut(), head).await;
    }

    // Each hears of every log.
    let (mut one, mut other) = (listen(bus.as_ref()).await, listen(bus.as_ref()).await);
    let head = Head { log: another, position: Position::FIRST };
    announced_and_heard(bus.as_ref(), one.as_mut(), head).await;
    announced_and_heard(bus.as_ref(), other.as_mut(), head).await;
}

pub(super) async fn a_wait_for_heads_that_is_dropped_hinders_no_later_one(subject: Subject) {
    let bus = subject.bus();
    let mut heads = listen(bus.as_ref()).await;
    let log = a_log();
    for position in 1..=5 {
        polled_once(&mut heads.next()).await.map(|told| told.must("wait for a head"));
        let head = Head { log, position: Position::new(position) };
        announced_and_heard(bus.as_ref(), heads.as_mut(), head).await;
    }
}

pub(super) async fn a_head_that_is_announced_is_heard_over_another_connection(subject: Subject) {
    let other = subject.another_connection().await;
    let mut there = listen(other.as_ref()).await;
    let head = Head { log: a_log(), position: Position::new(42) };
    announced_and_heard(subject.bus().as_ref(), there.as_mut(), head).await;

    let mut here = listen(subject.bus().as_ref()).await;
    let head = Head { log: a_log(), position: Position::new(43) };
    announced_and_heard(other.as_ref(), here.as_mut(), head).await;
}
