//! Messages that are lost, come twice, in another order, or broken.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use alm_core::{
    changeset::ConsumerName,
    domain::{CloudEvent, Event, LogId, Position},
    ports::{BusError, BusState, EventBus, EventLog, Head, Heads, Subscription},
    testing::{
        MemoryBus,
        inspect::{audit_of, log_of},
    },
};
use alm_test_support::eventually;
use async_trait::async_trait;
use serde_json::json;

use super::system::{Stores, System, knows_app, name, run, service, services};
use crate::given::{a_version, admin, an_app, user};

/// Loses some of what is published, and says that it was stored.
struct Lossy {
    bus: MemoryBus,
    published: AtomicUsize,
    loses: fn(usize) -> bool,
}

#[async_trait]
impl EventBus for Lossy {
    async fn publish(&self, events: &[Arc<Event>]) -> Result<(), BusError> {
        for event in events {
            if !(self.loses)(self.published.fetch_add(1, Ordering::Relaxed)) {
                self.bus.publish(std::slice::from_ref(event)).await?;
            }
        }
        Ok(())
    }

    async fn subscribe(&self, consumer: &ConsumerName) -> Result<Box<dyn Subscription>, BusError> {
        self.bus.subscribe(consumer).await
    }

    async fn replay(&self, log: LogId, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, BusError> {
        self.bus.replay(log, after, limit).await
    }

    async fn serve_replays(&self, log: Arc<dyn EventLog>) -> Result<(), BusError> {
        self.bus.serve_replays(log).await
    }

    async fn announce(&self, head: Head) -> Result<(), BusError> {
        self.bus.announce(head).await
    }

    async fn heads(&self) -> Result<Box<dyn Heads>, BusError> {
        self.bus.heads().await
    }

    fn max_event_bytes(&self) -> Option<usize> {
        self.bus.max_event_bytes()
    }

    fn state(&self) -> BusState {
        self.bus.state()
    }
}

async fn some_changes(system: &System) {
    for number in 0..10 {
        let app = system.app.apps().create(&admin(), an_app(&format!("app {number}"))).await.unwrap().value.id;
        for tag in 0..5 {
            system.version.versions().create(&user(), a_version(app, &format!("v{tag}"))).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_the_bus_loses_is_asked_of_the_owner_of_the_log() {
    let every_third = |number| number % 3 == 1;
    let lossy = |bus| Lossy { bus, published: AtomicUsize::new(0), loses: every_third };
    let system = System::over(&Stores::default(), lossy, &["prod"]);
    some_changes(&system).await;
    system.audited().await;
}

#[tokio::test]
async fn a_bus_that_loses_everything_is_found_out_by_what_the_owners_announce() {
    let lossy = |bus| Lossy { bus, published: AtomicUsize::new(0), loses: |_| true };
    let system = System::over(&Stores::default(), lossy, &[]);
    some_changes(&system).await;
    system.audited().await;
    assert_eq!(system.bus.published(), []);
}

#[tokio::test]
async fn what_comes_twice_or_in_another_order_has_one_effect() {
    // given
    let system = System::start();
    some_changes(&system).await;
    system.audited().await;
    let before = audit_of(system.audit.store().as_ref()).await.len();

    // when everything comes again, backwards, as new messages
    system.bus.forget_ids();
    for event in system.bus.published().into_iter().rev() {
        system.bus.publish(&[event]).await.unwrap();
    }
    system.bus.redeliver();
    some_more(&system).await;

    // then
    system.audited().await;
    assert_eq!(audit_of(system.audit.store().as_ref()).await.len(), before + 1);
    eventually("all is acknowledged", async || (system.bus.unacknowledged(&name("audit")) == 0).then_some(())).await;
}

async fn some_more(system: &System) {
    system.app.apps().create(&admin(), an_app("one more")).await.unwrap();
}

#[tokio::test]
async fn a_message_that_can_not_be_read_is_audited_as_it_is_and_goes_to_the_dead_letters_of_the_others() {
    // given
    let system = System::start();
    let app = system.app.apps().create(&admin(), an_app("billing")).await.unwrap().value.id;
    knows_app(&system.version, app).await;

    // when
    system.bus.inject(*b"\xff garbage");
    some_more(&system).await;

    // then
    eventually("it is audited", async || {
        let audit = audit_of(system.audit.store().as_ref()).await;
        let entry = audit.iter().find(|entry| entry.event_type == "Unreadable")?;
        assert_eq!(entry.payload["payload"], json!("\u{fffd} garbage"));
        Some(())
    })
    .await;
    eventually("the others put it aside", async || {
        let letters = system.version.dead_letters(&name("cascade"), None, 10).await.unwrap();
        (!letters.is_empty()).then(|| assert_eq!(letters.len(), 1))
    })
    .await;
    for consumer in ["audit", "version", "deployment"] {
        eventually("it does not come again", async || (system.bus.unacknowledged(&name(consumer)) == 0).then_some(()))
            .await;
    }
    system.audited().await;
}

#[tokio::test]
async fn what_takes_the_place_of_an_event_and_can_not_be_read_is_asked_of_the_owner() {
    // given
    let system = System::start();
    some_more(&system).await;
    system.audited().await;
    let log = system.app.store().log_id();
    let claim = |position: u64| {
        let document = json!({
            "specversion": "1.0", "id": "00000000-0000-7000-8000-000000000001", "type": "AppDeleted",
            "almlog": log, "sequence": format!("{position:020}"), "data": {"broken": true},
        });
        serde_json::to_vec(&document).unwrap()
    };

    // when one takes the next place, and another one that is never reached
    system.bus.inject(claim(2));
    system.bus.inject(claim(1000));
    system.app.apps().create(&admin(), an_app("billing")).await.unwrap();

    // then the event that has that place is audited, and what is nothing of the log is audited as what it is
    system.audited().await;
    eventually("what is not of the log is recorded", async || {
        let audit = audit_of(system.audit.store().as_ref()).await;
        let strays = audit.iter().filter(|entry| entry.payload.get("reason").is_some()).count();
        (strays > 0 && system.bus.unacknowledged(&name("audit")) == 0).then_some(())
    })
    .await;
    let log = log_of(system.app.store().as_ref()).await;
    assert_eq!(log.len(), 2);
}

#[tokio::test]
async fn a_message_at_a_position_that_no_log_can_have_is_put_aside_once_and_hinders_nothing() {
    // given
    let system = System::start();
    some_more(&system).await;
    system.audited().await;
    let log = system.app.store().log_id();

    // when
    let ends = [0, Position::MAX.get() + 1, u64::MAX];
    for (end, kind) in ends.into_iter().flat_map(|end| [(end, "AppDeleted"), (end, "TeamCreated")]) {
        let document = json!({
            "specversion": "1.0", "id": "00000000-0000-7000-8000-000000000001", "source": "/alm/AppService",
            "type": kind, "subject": "apps/1", "time": "2026-01-01T00:00:00Z", "datacontenttype": "application/json",
            "almlog": log, "sequence": format!("{end:020}"), "almactor": "ada", "data": {},
            "almchangeset": "00000000-0000-7000-8000-000000000002",
        });
        system.bus.inject(document.to_string());
    }

    // then
    eventually("they are put aside", async || {
        let audit = audit_of(system.audit.store().as_ref()).await;
        let strays = audit.iter().filter(|entry| entry.payload.get("reason").is_some()).count();
        (strays > 0 && system.bus.unacknowledged(&name("audit")) == 0).then(|| assert_eq!(strays, 6))
    })
    .await;
    system.app.apps().create(&admin(), an_app("billing")).await.unwrap();
    system.audited().await;
}

#[tokio::test]
async fn an_event_of_a_newer_version_is_audited_and_hinders_nothing() {
    // given a service of a newer version, whose log has an event of a new type
    let stores = Stores::default();
    let system = System::over(&stores, |bus| bus, &[]);
    let event = |position: u64, kind: &str| {
        let document = json!({
            "specversion": "1.0", "id": format!("00000000-0000-7000-8000-{position:012}"), "source": "/alm/TeamService",
            "type": kind, "subject": format!("teams/{position}"), "time": "2026-01-01T00:00:00Z",
            "datacontenttype": "application/json", "almlog": "00000000-0000-4000-8000-000000000001",
            "sequence": format!("{position:020}"), "almchangeset": "00000000-0000-7000-8000-000000000002",
            "almactor": "ada", "data": {"members": ["bob"]},
        });
        Arc::new(CloudEvent::decode_as_is(&serde_json::to_vec(&document).unwrap()).unwrap())
    };

    // when
    system.bus.publish(&[event(1, "TeamCreated"), event(2, "TeamDeleted")]).await.unwrap();
    some_more(&system).await;

    // then
    eventually("it is audited", async || {
        let audit = audit_of(system.audit.store().as_ref()).await;
        let teams: Vec<_> = audit.iter().filter(|entry| entry.source_service == "TeamService").collect();
        (teams.len() == 2).then(|| {
            assert_eq!((teams[0].event_type.as_str(), teams[0].subject.as_str()), ("TeamCreated", "teams/1"));
            assert_eq!(teams[0].payload, json!({"members": ["bob"]}));
        })
    })
    .await;
    system.audited().await;
    assert_eq!(system.version.dead_letters(&name("cascade"), None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn logs_whose_owner_is_away_keep_no_other_from_being_heard() {
    // given many events of logs that have no owner and whose first is missing
    let system = System::start();
    let orphans: Vec<_> = (1..=8).flat_map(|log| (2..2_500).map(move |position| orphan(log, position))).collect();
    system.bus.publish(&orphans).await.unwrap();

    // when, then
    some_changes(&system).await;
    system.audited().await;
    eventually("what others need room for is let go", async || {
        (system.bus.unacknowledged(&name("audit")) <= 2048).then_some(())
    })
    .await;
}

pub(super) fn orphan(log: u64, position: u64) -> Arc<Event> {
    let document = json!({
        "specversion": "1.0", "id": format!("00000000-0000-7000-8{log:03}-{position:012}"), "source": "/alm/TeamService",
        "type": "TeamCreated", "subject": "teams/1", "almlog": format!("00000000-0000-4000-8000-{log:012}"),
        "sequence": format!("{position:020}"), "almactor": "ada", "data": {},
    });
    Arc::new(CloudEvent::decode_as_is(&serde_json::to_vec(&document).unwrap()).unwrap())
}

#[tokio::test]
async fn what_comes_again_and_again_takes_no_more_room_than_once() {
    // given a few events of logs that no one answers for
    let system = System::start();
    let orphans: Vec<_> = (1..=40).flat_map(|log| (2..12).map(move |position| orphan(log, position))).collect();
    system.bus.publish(&orphans).await.unwrap();

    // when they come again as often as would fill any bound, and something happens then
    for _ in 0..30 {
        eventually("they have come", async || (system.bus.unacknowledged(&name("audit")) >= 400).then_some(())).await;
        system.bus.redeliver();
        tokio::task::yield_now().await;
    }
    some_changes(&system).await;

    // then the messages are still taken, and acknowledged
    system.audited().await;
    let orphans = orphans.len();
    eventually("only what no one answers for is held", async || {
        (system.bus.unacknowledged(&name("audit")) == orphans).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_readable_message_behind_the_end_of_a_log_is_put_aside() {
    // given
    let system = System::start();
    some_more(&system).await;
    system.audited().await;
    let [event]: [Arc<Event>; 1] = log_of(system.app.store().as_ref()).await.try_into().unwrap();

    // when someone publishes what would stand a thousand positions later
    let mut forged = event.as_ref().clone();
    forged.position = Position::new(1000);
    forged.event.id = alm_core::testing::fixtures::event_id();
    system.bus.publish(&[Arc::new(forged)]).await.unwrap();

    // then it is recorded as what it is, does not come again, and the log goes on
    eventually("it is put aside", async || {
        let audit = audit_of(system.audit.store().as_ref()).await;
        (audit.len() == 2 && system.bus.unacknowledged(&name("audit")) == 0).then(|| {
            assert!(audit[1].payload["reason"].as_str().unwrap().contains("ends before it"));
        })
    })
    .await;
    system.app.apps().create(&admin(), an_app("billing")).await.unwrap();
    system.audited().await;
}

#[tokio::test]
async fn what_claims_to_be_of_the_own_log_is_no_stray() {
    let system = System::start();
    system.audit.audit().get(&user(), alm_core::domain::AuditIndex::new(1)).await.unwrap_err();
    system.audited().await;
    let document = json!({"almlog": system.audit.store().log_id(), "sequence": "00000000000000000001", "id": "x"});
    system.bus.inject(serde_json::to_vec(&document).unwrap());
    eventually("it is done", async || (system.bus.unacknowledged(&name("audit")) == 0).then_some(())).await;
    assert_eq!(audit_of(system.audit.store().as_ref()).await.len(), 1);
}

#[tokio::test]
async fn the_end_of_a_parent_is_understood_also_from_a_newer_version() {
    // given an app whose name is longer than this version allows
    let system = System::start();
    let newer = |position: u64, kind: &str| {
        let document = json!({
            "specversion": "1.0", "id": format!("00000000-0000-7000-8000-{position:012}"), "source": "/alm/AppService",
            "type": kind, "subject": "apps/7", "time": "2026-01-01T00:00:00Z", "datacontenttype": "application/json",
            "almlog": "00000000-0000-4000-8000-000000000001", "sequence": format!("{position:020}"),
            "almchangeset": "00000000-0000-7000-8000-000000000002", "almactor": "ada",
            "data": {"id": 7, "name": "x".repeat(500), "description": "", "team": "new"},
        });
        Arc::new(CloudEvent::decode_as_is(&serde_json::to_vec(&document).unwrap()).unwrap())
    };
    let app = alm_core::domain::AppId::new(7).unwrap();
    let versions = alm_core::Alm::builder(system.version.store().clone()).services(services("version"));
    let mut owner = alm_core::testing::mocks::MockDirectory::new();
    owner.expect_app().returning(|_| Ok(true));
    let versions = versions.directory(Arc::new(owner)).build();
    versions.versions().create(&user(), a_version(app, "v1")).await.unwrap();

    // when
    system.bus.publish(&[newer(1, "AppUpdated"), newer(2, "AppDeleted")]).await.unwrap();

    // then
    eventually("its version is gone", async || {
        let left = system.version.store().versions(&alm_core::ports::VersionFilter::default(), None, 10).await.unwrap();
        left.is_empty().then_some(())
    })
    .await;
    let refused = versions.versions().create(&user(), a_version(app, "v2")).await.unwrap_err();
    assert_eq!(refused.code(), "unknown-parent");
}

#[tokio::test]
async fn what_another_installation_tells_of_its_apps_is_not_about_those_here() {
    // given a service that holds apps and versions, and another one on the same bus with ids of its own
    let (bus, store) = (MemoryBus::new(), Arc::new(alm_store_memory::MemoryStore::new()));
    let here = service("app,version", store, Arc::new(bus.clone())).build();
    let app = here.apps().create(&admin(), an_app("billing")).await.unwrap().value.id;
    here.versions().create(&user(), a_version(app, "v1")).await.unwrap();
    let _running = run(&here);
    let other = alm_core::Alm::builder(Arc::new(alm_store_memory::MemoryStore::new())).build();
    let same = other.apps().create(&admin(), an_app("another")).await.unwrap().value.id;
    assert_eq!(same, app);
    other.apps().delete(&admin(), app, &alm_core::services::Precondition::none()).await.unwrap();

    // when
    bus.publish(&log_of(other.store().as_ref()).await).await.unwrap();
    eventually("it is heard", async || (bus.unacknowledged(&name("app-version")) == 0).then_some(())).await;

    // then
    let left = here.store().versions(&alm_core::ports::VersionFilter::default(), None, 10).await.unwrap();
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn an_event_of_a_newer_version_needs_no_owner_to_be_audited() {
    // given a bus that brings it as what it can't read
    let system = System::start();
    let document = json!({
        "specversion": "1.0", "id": "00000000-0000-7000-8000-000000000001", "source": "/alm/TeamService",
        "type": "TeamCreated", "subject": "teams/1", "almlog": "00000000-0000-4000-8000-000000000001",
        "sequence": format!("{:020}", 1), "almactor": "ada", "data": {"members": ["bob"]},
    });

    // when
    system.bus.inject(document.to_string());

    // then
    eventually("it is audited as what it says it is", async || {
        let audit = audit_of(system.audit.store().as_ref()).await;
        let entry = audit.iter().find(|entry| entry.event_type == "TeamCreated")?;
        assert_eq!(entry.payload, json!({"members": ["bob"]}));
        Some(())
    })
    .await;
    for consumer in ["audit", "version", "deployment"] {
        eventually("it does not come again", async || (system.bus.unacknowledged(&name(consumer)) == 0).then_some(()))
            .await;
    }
}
