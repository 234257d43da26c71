//! What it costs that the audit log proves itself, in `SQLite` on this machine: how fast entries are recorded and signed for, how long
//! after an entry its checkpoint is there, how fast all of it is verified, and how long a proof takes.
//!
//! `cargo bench --bench audit_tree`; `ENTRIES` and `EVENTS` tell how many entries the log has in the end, and how many of them come
//! from events: 1,000,000 and 100,000 unless set.

use std::{env, error::Error, sync::Arc, time::Duration, time::Instant};

use alm_core::{
    Alm, Context, Principal,
    changeset::Change,
    domain::{AuditIndex, NewAuditEntry},
    ports::{AuditFilter, Committer, Reader, Store, TokioTimer, TreeStore},
    runtime::Integrator,
    services::{AuditTree, verify_audit},
    testing::fixtures::{entry, of, username},
    tlog::Signer,
};
use alm_store_sqlite::{SqliteOptions, SqliteStore};
use serde_json::json;
use tokio::{runtime::Runtime, task::JoinSet};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many commit at the same time.
const COMMITTERS: u64 = 64;

fn number(name: &str, default: u64) -> u64 {
    env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn per_second(count: u64, took: Duration) -> u128 {
    u128::from(count) * 1000 / took.as_millis().max(1)
}

fn an_entry(n: u64) -> NewAuditEntry {
    let payload = json!({"version_id": n, "app_id": 7, "tag": format!("v1.2.{n}"), "changelog": "bug fixes"});
    NewAuditEntry { payload, event_type: "VersionCreated".into(), subject: format!("versions/{n}"), ..entry("") }
}

/// Commits events, which are audited and signed for meanwhile.
async fn events(alm: &Alm, store: &SqliteStore, count: u64) -> Result<(), Box<dyn Error>> {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn({
        let alm = alm.clone();
        async move { alm.run(TokioTimer, async { drop(stopped.await) }).await }
    });
    let begun = Instant::now();
    let mut committing = JoinSet::new();
    for _ in 0..COMMITTERS {
        let store = store.clone();
        committing.spawn(async move {
            for _ in 0..count / COMMITTERS {
                store.commit(of(Change::login_failed(&username("ada")))).await.expect("a commit");
            }
        });
    }
    committing.join_all().await;
    let committed = begun.elapsed();
    let count = count / COMMITTERS * COMMITTERS;
    while store.newest_checkpoint().await?.is_none_or(|newest| newest.size < count) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let signed = begun.elapsed();
    println!(
        "{count} events committed at {} /s, audited and signed for at {} /s",
        per_second(count, committed),
        per_second(count, signed)
    );
    let mut waited = Vec::new();
    let checkpoints = store.checkpoints(0, usize::MAX).await?;
    let mut covering = checkpoints.iter().peekable();
    let mut after = None;
    loop {
        let page = store.audit_entries(&AuditFilter::default(), after, 1000).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.index);
        for entry in &page {
            while covering.next_if(|checkpoint| checkpoint.size < entry.index.get()).is_some() {}
            let Some(checkpoint) = covering.peek() else { break };
            waited.push(checkpoint.at.micros() - entry.recorded_at.micros());
        }
    }
    waited.sort_unstable();
    let at = |hundredth: usize| waited[waited.len() * hundredth / 100] / 1000;
    println!(
        "from an entry to its checkpoint: p50 {} ms, p99 {} ms; {} checkpoints",
        at(50),
        at(99),
        checkpoints.len()
    );
    drop(stop);
    running.await?;
    Ok(())
}

async fn fill(store: &SqliteStore, from: u64, to: u64) {
    let mut committing = JoinSet::new();
    for part in (from..to).step_by(500) {
        if committing.len() == 4 {
            committing.join_next().await;
        }
        let store = store.clone();
        committing.spawn(async move {
            let changeset = of(Change::login_failed(&username("ada")));
            let changeset = (part..to.min(part + 500)).fold(changeset, |all, n| all.recording(an_entry(n)));
            store.commit(changeset).await.expect("a commit");
        });
    }
    committing.join_all().await;
}

async fn measure() -> Result<(), Box<dyn Error>> {
    let (all, of_events) = (number("ENTRIES", 1_000_000), number("EVENTS", 100_000));
    let folder = tempfile::tempdir()?;
    let store = SqliteOptions::new(folder.path().join("alm.db")).migrate(true).open().await?;
    let signer = Signer::new("alm.example/audit", &[7; 32])?;
    let verifier = signer.verifier().clone();
    let alm = Alm::builder(Arc::new(store.clone())).audit_tree(AuditTree::new(Arc::new(store.clone()), signer)).build();
    events(&alm, &store, of_events).await?;

    fill(&store, of_events, all).await;
    let begun = Instant::now();
    let added = Integrator::of(&alm).ok_or("no tree")?.integrate().await?;
    println!("{added} entries that were there integrated at {} /s", per_second(added, begun.elapsed()));

    let begun = Instant::now();
    let mut source: &dyn Store = &store;
    let found = verify_audit(&mut source, Some(&store), &[verifier], &[], &mut |_| ()).await?;
    if let Some(tampered) = found.tampered {
        return Err(tampered.to_string().into());
    }
    println!("{} entries verified at {} /s", found.entries, per_second(found.entries, begun.elapsed()));

    let (me, mut took) = (Context::new(Principal::system()), Vec::new());
    for n in 0..2000 {
        let index = AuditIndex::new(1 + n * 7_919_317 % found.entries);
        let begun = Instant::now();
        alm.audit().tree().inclusion(&me, index, None).await?.ok_or("it is not proved")?;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    println!("a proof: p50 {:?}, p99 {:?}", took[took.len() / 2], took[took.len() * 99 / 100]);
    store.close().await;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    Runtime::new()?.block_on(measure())
}
