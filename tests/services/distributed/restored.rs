//! A service that was restored from a backup, and what the others hear of it.

use std::{fs, path::PathBuf, sync::Arc};

use alm_core::{
    Alm,
    ports::{EventBus, EventLog as _, Reader as _, Rotation, Store},
    testing::{MemoryBus, inspect::audit_of},
};
use alm_store_memory::MemoryStore;
use alm_store_sqlite::{SqliteOptions, SqliteStore};
use alm_test_support::eventually;

use super::system::{Running, name, run, service};
use crate::given::{admin, an_app};

/// The app service on a file of its own, perhaps with the audit log.
struct AppService {
    store: SqliteStore,
    alm: Alm,
    running: Running,
}

impl AppService {
    async fn start(file: PathBuf, bus: &MemoryBus) -> Self {
        Self::start_as("app,auth", "app-auth", file, bus).await
    }

    /// The services of these names, reading the bus under a name.
    async fn start_as(services: &str, reader: &str, file: PathBuf, bus: &MemoryBus) -> Self {
        let store = SqliteOptions::new(file).migrate(true).open().await.unwrap();
        let bus: Arc<dyn EventBus> = Arc::new(bus.clone());
        let alm = service(services, Arc::new(store.clone()), bus).inbox(name(reader)).build();
        let running = run(&alm);
        Self { store, alm, running }
    }

    async fn creates(&self, app: &str) -> i64 {
        self.alm.apps().create(&admin(), an_app(app)).await.unwrap().value.id.get()
    }

    /// Ends once its consumers have saved how far they are, as they do when there is nothing more to do.
    async fn stop(self) {
        eventually("all is handled", async || {
            let head = self.store.head().await.unwrap();
            for consumer in self.alm.consumers() {
                if self.store.checkpoint(&consumer, self.store.log_id()).await.unwrap() != Some(head) {
                    return None;
                }
            }
            Some(())
        })
        .await;
        drop((self.running, self.alm));
        self.store.close().await;
    }
}

/// The names of the apps whose creation is audited, in order.
async fn audited(audit: &dyn Store) -> Vec<String> {
    let entries = audit_of(audit).await;
    entries.iter().map(|entry| entry.payload["name"].as_str().unwrap().to_owned()).collect()
}

async fn audits(audit: &dyn Store, apps: &[&str]) {
    eventually("they are audited", async || (audited(audit).await.len() >= apps.len()).then_some(())).await;
    assert_eq!(audited(audit).await, apps);
}

/// An app service that was restored to where it had two apps, after the audit service had heard of three; and where it is.
async fn restored(folder: &tempfile::TempDir, bus: &MemoryBus, audit: &MemoryStore) -> PathBuf {
    let (file, backup) = (folder.path().join("alm.db"), folder.path().join("backup.db"));
    let app = AppService::start(file.clone(), bus).await;
    app.creates("one").await;
    app.creates("two").await;
    audits(audit, &["one", "two"]).await;
    app.stop().await;
    fs::copy(&file, &backup).unwrap();

    let app = AppService::start(file.clone(), bus).await;
    app.creates("lost").await;
    audits(audit, &["one", "two", "lost"]).await;
    app.stop().await;
    fs::copy(&backup, &file).unwrap();
    file
}

fn audit_service(bus: &MemoryBus) -> (Arc<MemoryStore>, Running) {
    let store = Arc::new(MemoryStore::new());
    let bus: Arc<dyn EventBus> = Arc::new(bus.clone());
    let running = run(&service("audit", store.clone(), bus).build());
    (store, running)
}

#[tokio::test]
async fn what_a_restored_service_does_is_not_heard_under_the_old_identity_of_its_log() {
    let (folder, bus) = (tempfile::tempdir().unwrap(), MemoryBus::new());
    let (audit, _running) = audit_service(&bus);
    let file = restored(&folder, &bus, &audit).await;

    // when it goes on as if nothing had happened
    let app = AppService::start(file, &bus).await;
    app.creates("three").await;
    app.creates("four").await;

    // then what gets the position of what was lost is never heard, and what follows is
    audits(audit.as_ref(), &["one", "two", "lost", "four"]).await;
    app.stop().await;
}

#[tokio::test]
async fn what_a_restored_service_does_is_heard_once_when_its_log_was_rotated() {
    let (folder, bus) = (tempfile::tempdir().unwrap(), MemoryBus::new());
    let (audit, _running) = audit_service(&bus);
    let file = restored(&folder, &bus, &audit).await;

    // when
    let rotation = Rotation { skip_ids: 1000, ..Rotation::default() };
    let rotated = SqliteStore::rotate_log(&file, &rotation).await.unwrap();
    let app = AppService::start(file.clone(), &bus).await;
    let three = app.creates("three").await;
    app.creates("four").await;

    // then each is heard, and none of the earlier ones again
    audits(audit.as_ref(), &["one", "two", "lost", "three", "four"]).await;
    assert_eq!(app.store.log_id(), rotated.new);
    assert!(three > 1000, "the id of what was lost is not given again, but {three}");
    app.stop().await;

    // and also when it is done once more for nothing
    SqliteStore::rotate_log(&file, &rotation).await.unwrap();
    let app = AppService::start(file, &bus).await;
    app.creates("five").await;
    audits(audit.as_ref(), &["one", "two", "lost", "three", "four", "five"]).await;
    app.stop().await;
}

#[tokio::test]
async fn what_a_restored_service_has_told_before_is_nothing_new_to_it() {
    // given a service that was restored to where it had two apps, after it had told of three
    let (folder, bus) = (tempfile::tempdir().unwrap(), MemoryBus::new());
    let (file, backup) = (folder.path().join("alm.db"), folder.path().join("backup.db"));
    let start = async |reader| AppService::start_as("app,auth,audit", reader, file.clone(), &bus).await;
    let app = start("reader").await;
    app.creates("one").await;
    app.creates("two").await;
    app.stop().await;
    fs::copy(&file, &backup).unwrap();
    let app = start("reader").await;
    app.creates("lost").await;
    app.stop().await;
    fs::copy(&backup, &file).unwrap();
    SqliteStore::rotate_log(&file, &Rotation { skip_ids: 1000, ..Rotation::default() }).await.unwrap();

    // when all that was ever told comes to it again, and something of another service
    let app = start("reader-anew").await;
    app.creates("three").await;
    let other = MemoryStore::new();
    let new = service("app", Arc::new(other), Arc::new(bus.clone())).build();
    let _running = run(&new);
    new.apps().create(&admin(), an_app("elsewhere")).await.unwrap();

    // then
    let store = app.store.clone();
    let mut all = eventually("what is new is audited", async || {
        let all = audited(&store).await;
        ["elsewhere", "three"].iter().all(|new| all.iter().any(|name| name == new)).then_some(all)
    })
    .await;
    all.sort_unstable();
    assert_eq!(all, ["elsewhere", "one", "three", "two"]);
    app.stop().await;
}
