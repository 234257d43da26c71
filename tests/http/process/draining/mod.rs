//! Servers that are told to stop under load.
//!
//! What is fair to ask: a request that was sent before the signal has its whole answer. One that was sent later has it, too, or not one
//! byte of it, and then it was certainly not applied: a client of HTTP/1.1 can't always know that the server is about to close
//! (RFC 9112, section 9.6), so there will always be some of these, and what counts is that they did nothing. None of the clients
//! sends a request before it has the answer to the one before.

mod client;
mod lane;
mod wire;

use std::{
    env, thread,
    time::{Duration, Instant},
};

use lane::{Lane, Tally, Way};

/// So many servers at once, each of which is started and stopped so often.
const LANES: u64 = 5;
const ROUNDS: u64 = 10;
/// What the contract grants.
const GRACE: Duration = Duration::from_secs(20);

/// Runs lanes beside each other; what came of all of them.
fn run(lanes: u64, rounds: u64, way: Way) -> Tally {
    let seed = env::var("ALM_DRAIN_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("ALM_DRAIN_SEED={seed}");
    let begun = Instant::now();
    let tally = thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes)
            .map(|number| scope.spawn(move || Lane::new(number, seed.wrapping_add(number), way).run(rounds)))
            .collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).fold(Tally::default(), Tally::and)
    });
    println!("{} rounds in {} ms: {tally}", lanes * rounds, begun.elapsed().as_millis());
    assert_eq!(tally.failures, Vec::<String>::new(), "ALM_DRAIN_SEED={seed}");
    assert!(tally.in_flight >= lanes * rounds, "so few were in flight that this says nothing: {tally}");
    assert!(tally.slowest <= GRACE, "{tally}");
    tally
}

#[test]
fn no_request_in_flight_fails_when_a_server_is_told_to_stop() {
    let tally = run(LANES, ROUNDS, Way::Straight);
    assert!(tally.later > 0, "what is on its way is answered, too: {tally}");
}

#[test]
fn no_request_in_flight_fails_when_a_service_behind_the_gateway_is_told_to_stop() {
    run(2, 3, Way::Gateway);
}
