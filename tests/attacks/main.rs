//! Attacks, one a line: what is sent, and the answer that it must get. Each module is a table.
//!
//! After every one of them nothing is in the event log but what the line says, and an honest client is served.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit;
mod authorization;
mod exhaustion;
mod forge;
mod framing;
mod given;
mod input;
mod login;
mod nats;
mod permissions;
mod target;
mod tokens;
mod wire;

/// Fewer would mean that a table was lost.
const AT_LEAST: usize = 600;

#[test]
fn there_are_enough_attacks_and_each_has_a_name_of_its_own() {
    let tables = [
        ("tokens", tokens::attacks()),
        ("log-ins", login::attacks()),
        ("authorization", authorization::attacks()),
        ("input", input::attacks()),
        ("framing", framing::attacks()),
        ("exhaustion", exhaustion::attacks()),
    ];
    let mut names: Vec<_> = tables.iter().flat_map(|(_, table)| table.iter().map(|attack| attack.name)).collect();
    names.extend(login::THROTTLED.iter().map(|guesses| guesses.name));
    names.extend(exhaustion::FLOODS.iter().map(|flood| flood.name));
    names.extend(nats::MESSAGES.iter().map(|message| message.name));
    names.extend(permissions::FORBIDDEN.iter().map(|forbidden| forbidden.name));
    names.extend(audit::REFUSED.iter().map(|refused| refused.name));
    names.extend(audit::TAMPERINGS.iter().map(|tampering| tampering.name));
    let all = names.len();
    eprintln!("{all} attacks");
    names.sort_unstable();
    let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    assert_eq!(twice, [""; 0], "these names are not of one attack alone");
    assert!(all >= AT_LEAST, "{all}");
}
