//! What the store in a `SQLite` file does beside the same inserts without it, on a disk that is told to keep what it is given.
//!
//! `commits`: versions per second through the store, by one caller and by many at once, and `raw`: the same two rows (version
//! and event) in a transaction for each, on one connection without the store. They take turns, so that a disk whose speed
//! changes changes all of them; medians, and the ratio of each to `raw`.
//!
//! `pages`: what `GET` by id and a page of 50 cost in a file of ten thousand versions and in one of `ALM_BENCH_VERSIONS`
//! (100,000 unless told), in turns too.
//!
//! `cargo bench --bench sqlite [commits|pages]`; `ALM_BENCH_ROUNDS` is how many turns each has (9 unless told).

#![allow(missing_docs, reason = "a program")]

mod given;

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use alm_core::{
    domain::{AppId, VersionId},
    ports::{Committer, Reader, VersionFilter},
};
use alm_store_sqlite::{SqliteOptions, SqliteStore};
use sqlx::{
    ConnectOptions as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteSynchronous},
};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// How long a turn is.
const TURN: Duration = Duration::from_millis(200);
const CALLERS: [usize; 4] = [1, 8, 64, 256];
const PAGE: usize = 50;
const SMALL: i64 = 10_000;

fn setting(name: &str, default: i64) -> i64 {
    env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// A folder on the disk that the build is on: what lies in memory alone is no disk.
fn folder() -> TempDir {
    let target = option_env!("CARGO_TARGET_TMPDIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    tempfile::tempdir_in(target).expect("a folder")
}

async fn open(path: &Path) -> SqliteStore {
    let store = SqliteOptions::new(path).migrate(true).open().await.expect("a store");
    store.commit(given::app()).await.expect("the app");
    store
}

/// The rows of a version and of its event, in a transaction on a connection without the store.
async fn insert(connection: &mut SqliteConnection, number: i64) -> Result<(), sqlx::Error> {
    let changeset = given::version_created(number);
    let version = given::version(number, changeset.at());
    let event = &changeset.events()[0];
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    sqlx::query(
        "INSERT INTO alm_versions (id, app_id, tag, changelog, labels, created_at, updated_at, revision)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(number)
    .bind(version.app_id.get())
    .bind(version.tag.as_str())
    .bind(version.changelog.as_str())
    .bind("{}")
    .bind(version.created_at.micros())
    .bind(version.updated_at.micros())
    .bind(1)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO alm_events (id, changeset, nth, event_type, subject, data, time, actor, trace)
        VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7, NULL)",
    )
    .bind(event.id.get())
    .bind(changeset.id().get())
    .bind(event.data.type_name())
    .bind(event.subject.to_string())
    .bind(event.data.to_json().to_string())
    .bind(event.time.micros())
    .bind(event.actor.as_str())
    .execute(&mut *connection)
    .await?;
    sqlx::query("COMMIT").execute(connection).await.map(drop)
}

/// What was seen in one turn.
#[derive(Clone, Copy)]
struct Turn {
    /// Versions per second.
    rate: f64,
    /// Microseconds of CPU time of the whole process for each version; callers included.
    cpu: f64,
    /// Versions in each transaction.
    group: f64,
}

/// The CPU time that this process has used, in seconds (Linux; elsewhere none).
fn cpu_time() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let times = tasks.filter_map(|task| {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<f64>().ok()
    });
    times.sum::<f64>() / 1e9
}

/// Has `work` done for a turn; it says how many versions it has committed, in how many transactions.
async fn turn(work: impl Future<Output = (u64, u64)>) -> Turn {
    let (began, used) = (Instant::now(), cpu_time());
    let (versions, transactions) = work.await;
    #[expect(clippy::cast_precision_loss, reason = "they are far from 2⁵²")]
    let (versions, transactions) = (versions as f64, transactions as f64);
    Turn {
        rate: versions / began.elapsed().as_secs_f64(),
        cpu: (cpu_time() - used) * 1e6 / versions,
        group: versions / transactions,
    }
}

/// Versions without the store, one after the other.
async fn raw(connection: &mut SqliteConnection, next: &AtomicI64) -> (u64, u64) {
    let began = Instant::now();
    let mut done = 0;
    while began.elapsed() < TURN {
        insert(connection, next.fetch_add(1, Ordering::Relaxed)).await.expect("inserted");
        done += 1;
    }
    (done, done)
}

/// Versions through the store, when each of `callers` commits one after the other.
async fn committed(store: &SqliteStore, callers: usize, next: &Arc<AtomicI64>) -> (u64, u64) {
    let before = store.transactions();
    let is_over = Arc::new(AtomicBool::new(false));
    let mut tasks: JoinSet<u64> = (0..callers)
        .map(|_| {
            let (store, next, is_over) = (store.clone(), next.clone(), is_over.clone());
            async move {
                let mut done = 0;
                while !is_over.load(Ordering::Relaxed) {
                    store
                        .commit(given::version_created(next.fetch_add(1, Ordering::Relaxed)))
                        .await
                        .expect("committed");
                    done += 1;
                }
                done
            }
        })
        .collect();
    tokio::time::sleep(TURN).await;
    is_over.store(true, Ordering::Relaxed);
    let mut done = 0;
    while let Some(by_one) = tasks.join_next().await {
        done += by_one.expect("it does not panic");
    }
    (done, store.transactions() - before)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn commits(rounds: i64) {
    let folder = folder();
    let path = folder.path().join("alm.db");
    let store = open(&path).await;
    let options = SqliteConnectOptions::new().filename(&path).synchronous(SqliteSynchronous::Full);
    let mut connection = options.foreign_keys(false).connect().await.expect("a connection");
    let next = Arc::new(AtomicI64::new(1));
    let mut turns: BTreeMap<usize, Vec<Turn>> = BTreeMap::new();
    for _ in 0..rounds {
        turns.entry(0).or_default().push(turn(raw(&mut connection, &next)).await);
        for callers in CALLERS {
            turns.entry(callers).or_default().push(turn(committed(&store, callers, &next)).await);
        }
    }
    println!("commits, synchronous=FULL, medians of {rounds} turns of {TURN:?}");
    for (callers, seen) in &turns {
        let of = |what: fn(&Turn) -> f64| median(seen.iter().map(what).collect());
        let name = if *callers == 0 { "raw".to_owned() } else { format!("store, {callers} callers") };
        let ratio = median(seen.iter().zip(&turns[&0]).map(|(turn, raw)| turn.rate / raw.rate).collect());
        println!(
            "  {name:<20} {:>7.0} versions/s  {ratio:>6.2} × raw  {:>6.1} µs CPU each  {:>5.1} a transaction",
            of(|turn| turn.rate),
            of(|turn| turn.cpu),
            of(|turn| turn.group),
        );
    }
    store.close().await;
}

/// A store that has so many versions, and nothing to tell of how they came.
async fn filled(path: &Path, versions: i64) -> SqliteStore {
    let store = open(path).await;
    let options = SqliteConnectOptions::new().filename(path).synchronous(SqliteSynchronous::Off);
    let mut connection = options.foreign_keys(false).connect().await.expect("a connection");
    sqlx::query(
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?1)
        INSERT INTO alm_versions (id, app_id, tag, changelog, labels, created_at, updated_at, revision)
        SELECT n, 1 + n % 100, 'v1.0.' || n, 'bug fixes', '{}', 1764000000000000 + n, 1764000000000000 + n, 1
        FROM number",
    )
    .bind(versions)
    .execute(&mut connection)
    .await
    .expect("filled");
    store
}

/// What a read costs, in microseconds: the median of many.
async fn cost<T>(times: usize, read: impl AsyncFn() -> T) -> f64 {
    let mut costs = Vec::with_capacity(times);
    for _ in 0..times {
        let began = Instant::now();
        std::hint::black_box(read().await);
        costs.push(began.elapsed().as_secs_f64() * 1e6);
    }
    median(costs)
}

/// What each read costs, by the number of versions that there are.
type Costs = BTreeMap<&'static str, BTreeMap<i64, Vec<f64>>>;

async fn pages(rounds: i64) {
    let large = setting("ALM_BENCH_VERSIONS", 100_000);
    let folder = folder();
    let mut stores = Vec::new();
    for versions in [SMALL, large] {
        stores.push((versions, filled(&folder.path().join(versions.to_string()), versions).await));
    }
    let mut costs = Costs::new();
    for _ in 0..rounds {
        for (versions, store) in &stores {
            let mut note = |what, cost| costs.entry(what).or_default().entry(*versions).or_default().push(cost);
            let everything = VersionFilter::default();
            let of_app = VersionFilter { app_id: AppId::new(1), ..VersionFilter::default() };
            let last = VersionId::new(versions - 50);
            let page =
                async |filter: &VersionFilter, after| store.versions(filter, after, PAGE).await.expect("a page").len();
            assert_eq!(page(&everything, last).await, PAGE);
            note(
                "by id",
                cost(200, async || store.version(VersionId::new(versions / 2).expect("positive")).await.expect("read"))
                    .await,
            );
            note("first page", cost(200, async || page(&everything, None).await).await);
            note("last page", cost(200, async || page(&everything, last).await).await);
            note("first page of an app", cost(200, async || page(&of_app, None).await).await);
        }
    }
    println!("reads, µs, medians of {rounds} turns");
    for (what, by_size) in costs {
        let (small, large_cost) = (median(by_size[&SMALL].clone()), median(by_size[&large].clone()));
        println!("  {what:<22} {small:>7.1} at {SMALL}, {large_cost:>7.1} at {large}: {:.2} ×", large_cost / small);
    }
    for (_, store) in stores {
        store.close().await;
    }
}

#[tokio::main]
async fn main() {
    let rounds = setting("ALM_BENCH_ROUNDS", 9);
    let asked: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let is_asked = |what: &str| asked.is_empty() || asked.iter().any(|name| name == what);
    if is_asked("commits") {
        commits(rounds).await;
    }
    if is_asked("pages") {
        pages(rounds).await;
    }
}
