//! What is fuzzed: each target is given bytes as someone outside may send them, and panics when a promise is broken. The same
//! functions run in the suite ([`engine`](crate::engine)) and under libFuzzer (`tests/fuzz/libfuzzer`).

mod cursors;
mod events;
mod keys;
mod notes;
mod requests;
mod tokens;
mod tree;
mod values;
mod world;

/// Something that reads what comes from outside.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&[u8]),
    /// What it may be given, for mutations to begin with.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them. A new one is a test in `tests/fuzz/main.rs` and a binary in `tests/fuzz/libfuzzer/Cargo.toml`, too.
pub(crate) const ALL: [Target; 9] = [
    Target { name: "token", run: tokens::token, seeds: tokens::genuine },
    Target { name: "claims", run: tokens::claims, seeds: tokens::signed },
    Target { name: "keys", run: keys::keys, seeds: keys::seeds },
    Target { name: "cursor", run: cursors::cursor, seeds: cursors::seeds },
    Target { name: "event", run: events::event, seeds: events::seeds },
    Target { name: "note", run: notes::note, seeds: notes::seeds },
    Target { name: "tree", run: tree::tree, seeds: tree::seeds },
    Target { name: "request", run: requests::request, seeds: requests::seeds },
    Target { name: "values", run: values::values, seeds: values::seeds },
];

/// The target of this name.
pub(crate) fn named(name: &str) -> &'static Target {
    ALL.iter().find(|target| target.name == name).expect("a target of that name")
}

fn bytes(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
