//! What a change costs on the store in memory: the commit alone, and a whole use case around it.
//!
//! `cargo bench --bench commit`

#![allow(missing_docs, reason = "criterion's macros make items without docs")]

mod given;

use std::{collections::BTreeMap, hint::black_box, sync::Arc};

use alm_core::{
    Alm, Context, Principal,
    domain::{NewApp, NewVersion},
    ports::{Committer, Store},
};
use alm_store_memory::MemoryStore;
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use tokio::runtime::{Builder, Runtime};

/// How many versions there are before the first measured one.
const SIZES: [i64; 3] = [1_000, 10_000, 100_000];

fn runtime() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime")
}

async fn filled(versions: i64) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    store.commit(given::app()).await.expect("the app");
    for number in 1..=versions {
        store.commit(given::version_created(number)).await.expect("a version");
    }
    store
}

fn commit(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("commit/memory");
    for size in SIZES {
        let store = runtime.block_on(filled(size));
        let mut next = size;
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter_batched(
                || {
                    next += 1;
                    given::version_created(next)
                },
                |changeset| runtime.block_on(store.commit(black_box(changeset))).expect("committed"),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn use_case(criterion: &mut Criterion) {
    let runtime = runtime();
    let alm = Alm::builder(Arc::new(MemoryStore::new()) as Arc<dyn Store>).build();
    let me = Context::new(Principal::system());
    let app = NewApp::parse("billing".into(), String::new(), BTreeMap::new()).expect("an app");
    let app = runtime.block_on(alm.apps().create(&me, app)).expect("created").value;
    let mut next = 0_u64;
    criterion.bench_function("versions.create/memory", |bencher| {
        bencher.iter_batched(
            || {
                next += 1;
                NewVersion::parse(app.id, format!("v{next}"), "bug fixes".into(), BTreeMap::new()).expect("a version")
            },
            |new| runtime.block_on(alm.versions().create(&me, black_box(new))).expect("created"),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, commit, use_case);
criterion_main!(benches);
