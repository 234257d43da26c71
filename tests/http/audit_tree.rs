//! Whoever trusts nothing but the public key checks what the API says.

use alm_core::{
    Alm,
    tlog::{Checkpoint, Hash, TILE_WIDTH, leaf_hash, node_hash, open, verify_consistency, verify_inclusion},
};
use serde_json::Value;

use crate::support::{Answer, Given, Server, Setup, signer};

/// What a checkpoint says that is signed by the key of the server.
fn read(note: &str) -> Checkpoint {
    open(note, std::slice::from_ref(signer().verifier())).unwrap().parse().unwrap()
}

fn hash(value: &Value) -> Hash {
    value.as_str().unwrap().parse().unwrap()
}

fn hashes(value: &Value) -> Vec<Hash> {
    value.as_array().unwrap().iter().map(hash).collect()
}

/// The leaf of an entry as the API gives it, by the rule of the guide and by nothing of alm-core: members in order, no white space.
fn leaf(entry: &Value) -> Hash {
    leaf_hash(serde_json::to_string(entry).unwrap().as_bytes())
}

async fn with_entries(count: usize) -> Server {
    let server = Server::start().await;
    for n in 0..count {
        server.user().app(&format!("app {n}")).await;
    }
    server.settled().await;
    server
}

#[tokio::test]
async fn every_entry_is_proved_by_what_the_api_gives_and_the_public_key() {
    let server = with_entries(7).await;
    let root = server.admin();
    let checkpoint = read(&root.checkpoint(7).await);
    assert_eq!((checkpoint.origin(), checkpoint.size()), ("alm.example/audit", 7));
    for index in 1..=7 {
        let entry = root.get(format!("/audit/events/{index}")).await.ok(200);
        let proof = root.get(format!("/audit/events/{index}/proof")).await.ok(200);
        assert_eq!(hash(&proof["leaf_hash"]), leaf(&entry));
        assert_eq!((proof["index"].as_u64(), proof["size"].as_u64()), (Some(index), Some(7)));
        let hashes = hashes(&proof["proof"]);
        verify_inclusion(index - 1, 7, &leaf(&entry), &hashes, &checkpoint.root()).unwrap();
    }
}

#[tokio::test]
async fn a_later_checkpoint_is_proved_to_go_on_from_an_earlier_one() {
    let server = with_entries(3).await;
    let root = server.admin();
    let before = read(&root.checkpoint(3).await);
    for n in 0..4 {
        server.user().app(&format!("another {n}")).await;
    }
    let after = read(&root.checkpoint(7).await);
    let proof = root.get("/audit/consistency?from=3&to=7").await.ok(200);
    assert_eq!((hash(&proof["from_root_hash"]), hash(&proof["to_root_hash"])), (before.root(), after.root()));
    verify_consistency(3, &before.root(), 7, &after.root(), &hashes(&proof["proof"])).unwrap();
    assert_eq!(root.get("/audit/consistency?from=3").await.ok(200), proof);
}

#[tokio::test]
async fn tiles_are_the_hashes_of_the_entries() {
    let server = with_entries(3).await;
    let root = server.admin();
    let checkpoint = read(&root.checkpoint(3).await);
    let tile = |answer: Answer| {
        assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
        answer.body.chunks(Hash::LEN).map(|hash| Hash::new(hash.try_into().unwrap())).collect::<Vec<_>>()
    };
    let all = tile(root.get("/audit/tile/0/000.p/3").await.is(200));
    let [one, two, three] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(node_hash(&node_hash(one, two), three), checkpoint.root());
    assert_eq!(tile(root.get("/audit/tile/0/000.p/2").await.is(200)), [*one, *two]);
    let wide = TILE_WIDTH;
    let none = ["0/000", "0/000.p/4", "0/001.p/1", "1/000.p/1", "0/x001/000", "64/000.p/1"].map(ToOwned::to_owned);
    let wrong = ["0/0", "0/000.p/0", "00/000.p/1", "0/000.p/01", "0", "x/000.p/1"].map(ToOwned::to_owned);
    for path in none.into_iter().chain(wrong).chain([format!("0/000.p/{wide}")]) {
        root.get(format!("/audit/tile/{path}")).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_proved() {
    let server = with_entries(2).await;
    let root = server.admin();
    root.checkpoint(2).await;
    for path in [
        "/audit/events/3/proof",
        "/audit/events/0/proof",
        "/audit/events/1/proof?size=0",
        "/audit/events/1/proof?size=3",
        "/audit/events/2/proof?size=1",
        "/audit/consistency?from=3",
        "/audit/consistency?from=2&to=1",
        "/audit/consistency?from=0&to=3",
    ] {
        root.get(path).await.problem(404, "not-found");
    }
    for path in [
        "/audit/events/1/proof?size=-1",
        "/audit/events/1/proof?size=x",
        "/audit/events/1/proof?size=1&size=1",
        "/audit/events/1/proof?size=9223372036854775808",
        "/audit/events/1/proof?at=1",
        "/audit/consistency",
        "/audit/consistency?from=1&to=",
        "/audit/checkpoint?size=1",
    ] {
        assert_eq!(root.get(path).await.status, 400, "{path}");
    }
}

#[tokio::test]
async fn nothing_is_signed_of_an_empty_log_and_nothing_without_a_key() {
    let server = Server::start().await;
    server.admin().get("/audit/checkpoint").await.problem(404, "not-found");

    let store = std::sync::Arc::new(alm_store_memory::MemoryStore::new());
    let jwt = std::sync::Arc::new(crate::support::jwt());
    let without = Setup::default().alm(move |_| Alm::builder(store).authenticator(jwt)).start().await;
    without.admin().get("/audit/checkpoint").await.problem(501, "not-configured");
    without.admin().get("/audit/events/1/proof").await.problem(501, "not-configured");
}
