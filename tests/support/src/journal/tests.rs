//! What the check must find, in journals made by hand.

mod refusals;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Ask, Entry, Fact, Injected, Journal, Kind, Seen, check};

/// A journal and what is seen, which go together until a test spoils them.
#[derive(Default)]
struct World {
    journal: Vec<Entry>,
    seen: Seen,
}

impl World {
    /// An app that was created and updated, its version, and a deployment of it that runs; another app, deleted with its version.
    fn sound() -> Self {
        let mut world = Self::default();
        world.done("apps/1", create_app("one"), 201, json!({"id": 1, "revision": 1}));
        world.done("apps/1", update_app(1, "one", "new"), 200, json!({"id": 1, "revision": 2}));
        world.done("versions/1", create_version(1, "v1"), 201, json!({"id": 1, "revision": 1}));
        world.done("deployments/1", create_deployment(1, "prod"), 201, json!({"id": 1, "revision": 1}));
        world.done("deployments/1", moved(1, "running"), 200, json!({"id": 1, "revision": 2}));
        world.done("apps/2", create_app("two"), 201, json!({"id": 2, "revision": 1}));
        world.done("versions/2", create_version(2, "v2"), 201, json!({"id": 2, "revision": 1}));
        world.done("apps/2", Ask::DeleteApp { id: 2 }, 204, Value::Null);
        world.happened(
            "versions/2",
            "VersionDeleted",
            json!({"version_id": 2, "app_id": 2, "tag": "v2", "changelog": ""}),
        );
        world.seen.rows = BTreeMap::from([
            ("apps/1".to_owned(), json!({"id": 1, "name": "one", "description": "new", "revision": 2})),
            ("versions/1".to_owned(), json!({"id": 1, "app_id": 1, "tag": "v1", "changelog": "", "revision": 1})),
            (
                "deployments/1".to_owned(),
                json!({"id": 1, "app_id": 1, "version_id": 1, "environment": "prod", "status": "running", "revision": 2}),
            ),
        ]);
        world
    }

    fn log(&mut self) -> &mut Vec<Fact> {
        self.seen.logs.entry("all".to_owned()).or_default()
    }

    fn asked(&mut self, ask: Ask, key: Option<&str>) -> u64 {
        let request = self.journal.len() as u64;
        self.journal.push(Entry::Asked { request, ask, key: key.map(str::to_owned) });
        request
    }

    fn told(&mut self, request: u64, status: u16, body: Value) {
        self.journal.push(Entry::Told { request, status, body });
    }

    fn happened(&mut self, subject: &str, event_type: &str, data: Value) {
        let place = self.log().len() as u64 + 1;
        let (subject, event_type) = (subject.to_owned(), event_type.to_owned());
        let fact = Fact { place, id: format!("event-{place}"), event_type, subject, data };
        self.log().push(fact.clone());
        self.seen.audit.push(fact);
    }

    /// A request, its answer, and its event.
    fn done(&mut self, subject: &str, ask: Ask, status: u16, body: Value) {
        let (event_type, data) = event(&ask);
        let request = self.asked(ask, None);
        self.told(request, status, body);
        self.happened(subject, event_type, data);
    }

    /// What is seen without the fact at `place`, as if there were no gap.
    fn without(facts: &mut Vec<Fact>, place: usize) -> Fact {
        let fact = facts.remove(place - 1);
        facts.iter_mut().zip(1..).for_each(|(fact, place)| fact.place = place);
        fact
    }

    #[track_caller]
    fn is_found(&self, kind: Kind, what: &str) {
        let found = check(&self.journal, &self.seen);
        assert!(found.iter().any(|it| it.kind == kind && it.what.contains(what)), "{kind:?} {what}: {found:#?}");
    }
}

fn event(ask: &Ask) -> (&'static str, Value) {
    match ask {
        Ask::CreateApp { name, description } => {
            // The ids are those of the sound world.
            let id = if name == "two" { 2 } else { 1 };
            ("AppCreated", json!({"id": id, "name": name, "description": description}))
        }
        Ask::UpdateApp { id, name, description } => {
            ("AppUpdated", json!({"id": id, "name": name, "description": description}))
        }
        Ask::DeleteApp { id } => ("AppDeleted", json!({"id": id, "name": "two", "description": ""})),
        Ask::CreateVersion { app_id, tag, changelog } => {
            ("VersionCreated", json!({"version_id": app_id, "app_id": app_id, "tag": tag, "changelog": changelog}))
        }
        Ask::CreateDeployment { version_id, environment } => {
            ("DeploymentCreated", deployment(*version_id, environment, "pending"))
        }
        Ask::MoveDeployment { status, .. } => {
            let mut data = deployment(1, "prod", status);
            data["previous_status"] = "pending".into();
            ("DeploymentUpdated", data)
        }
        other => panic!("{other:?} is in no test"),
    }
}

fn deployment(version: i64, environment: &str, status: &str) -> Value {
    json!({"deployment_id": 1, "version_id": version, "app_id": 1, "environment": environment, "status": status})
}

fn create_app(name: &str) -> Ask {
    Ask::CreateApp { name: name.to_owned(), description: String::new() }
}

fn update_app(id: i64, name: &str, description: &str) -> Ask {
    Ask::UpdateApp { id, name: name.to_owned(), description: description.to_owned() }
}

fn create_version(app_id: i64, tag: &str) -> Ask {
    Ask::CreateVersion { app_id, tag: tag.to_owned(), changelog: String::new() }
}

fn create_deployment(version_id: i64, environment: &str) -> Ask {
    Ask::CreateDeployment { version_id, environment: environment.to_owned() }
}

fn moved(id: i64, status: &str) -> Ask {
    Ask::MoveDeployment { id, status: status.to_owned() }
}

#[test]
fn a_world_in_which_all_goes_together_passes() {
    let mut world = World::sound();
    assert_eq!(check(&world.journal, &world.seen), []);

    // with requests that were not answered, of which one was done, and some that were refused
    world.asked(create_app("never came about"), None);
    world.asked(update_app(1, "one", "newest"), None);
    world.happened("apps/1", "AppUpdated", json!({"id": 1, "name": "one", "description": "newest"}));
    world.seen.rows.insert("apps/1".into(), json!({"id": 1, "name": "one", "description": "newest", "revision": 3}));
    for (status, body) in
        [(409, json!({})), (503, json!({"outcome": "not_applied"})), (503, json!({"outcome": "unknown"}))]
    {
        let request = world.asked(create_app(&format!("refused-{status}-{body}")), None);
        world.told(request, status, body);
    }
    world.happened("users/admin", "LoginSucceeded", json!({"user": "admin"}));
    assert_eq!(check(&world.journal, &world.seen), []);
}

#[test]
fn what_was_acknowledged_and_is_nowhere_is_lost() {
    let mut world = World::sound();
    for _ in 0..3 {
        World::without(world.log(), 3);
        World::without(&mut world.seen.audit, 3);
    }
    world.seen.rows.remove("versions/1");
    world.seen.rows.remove("deployments/1");
    world.is_found(Kind::Lost, "VersionCreated");
    world.is_found(Kind::Lost, "DeploymentUpdated");
}

#[test]
fn what_is_gone_without_having_been_deleted_is_lost() {
    let mut world = World::sound();
    world.seen.rows.remove("deployments/1");
    world.is_found(Kind::Lost, "deployments/1");
}

#[test]
fn what_no_one_asked_for_is_a_phantom() {
    let mut world = World::sound();
    world.seen.rows.insert("apps/9".into(), json!({"id": 9, "name": "nine", "description": "", "revision": 1}));
    world.is_found(Kind::Phantom, "apps/9");

    let mut world = World::sound();
    world.happened("apps/9", "AppCreated", json!({"id": 9, "name": "nine", "description": ""}));
    world.is_found(Kind::Phantom, "nine");

    let mut world = World::sound();
    world.log().pop();
    world.is_found(Kind::Phantom, "never logged");
}

#[test]
fn what_was_refused_and_is_there_is_a_phantom() {
    for (status, body) in [(409, json!({})), (503, json!({"outcome": "not_applied"}))] {
        let mut world = World::sound();
        let request = world.asked(update_app(1, "one", "refused"), None);
        world.told(request, status, body);
        world.happened("apps/1", "AppUpdated", json!({"id": 1, "name": "one", "description": "refused"}));
        world.is_found(Kind::Phantom, "refused");
    }
}

#[test]
fn what_was_deleted_and_is_there_is_a_phantom() {
    let mut world = World::sound();
    world.seen.rows.insert("apps/2".into(), json!({"id": 2, "name": "two", "description": "", "revision": 1}));
    world.is_found(Kind::Phantom, "apps/2 was deleted");
}

#[test]
fn what_is_done_or_audited_twice_is_found() {
    let mut world = World::sound();
    let mut again = world.seen.audit[3].clone();
    again.place = world.seen.audit.len() as u64 + 1;
    world.seen.audit.push(again);
    world.is_found(Kind::Twice, "event-4");

    // A request that was sent again under its key, and made a second app.
    let mut world = World::sound();
    world.asked(create_app("one"), Some("key"));
    world.happened("apps/3", "AppCreated", json!({"id": 3, "name": "one", "description": ""}));
    world.is_found(Kind::Twice, "AppCreated");
}

#[test]
fn what_is_done_and_not_audited_is_found() {
    let mut world = World::sound();
    World::without(&mut world.seen.audit, 5);
    world.is_found(Kind::NotAudited, "event-5");

    // As if the event had never been written.
    let mut world = World::sound();
    World::without(&mut world.seen.audit, 5);
    World::without(world.log(), 5);
    world.is_found(Kind::NotAudited, "DeploymentUpdated");
    let mut world = World::sound();
    World::without(&mut world.seen.audit, 3);
    World::without(world.log(), 3);
    world.is_found(Kind::NotAudited, "versions/1 is there");
}

#[test]
fn what_is_out_of_order_is_found() {
    // the log has a gap
    let mut world = World::sound();
    world.log()[4].place = 50;
    world.is_found(Kind::OutOfOrder, "the log all has 50");

    // one subject's entries stand in another order than its events
    let mut world = World::sound();
    let (a, b) = (world.seen.audit[3].id.clone(), world.seen.audit[4].id.clone());
    world.seen.audit.swap(3, 4);
    (world.seen.audit[3].place, world.seen.audit[4].place) = (4, 5);
    assert_eq!((&world.seen.audit[4].id, &world.seen.audit[3].id), (&a, &b));
    world.is_found(Kind::OutOfOrder, "entry 4 is of an event of the log all before that of 5");
    world.is_found(Kind::OutOfOrder, "DeploymentUpdated at place 0");

    // log and audit log agree, and both are wrong
    let mut world = World::sound();
    world.done("apps/1", update_app(1, "one", "newer"), 200, json!({"id": 1, "revision": 4}));
    world.is_found(Kind::OutOfOrder, "revision Some(4) of apps/1");
}

#[test]
fn what_is_not_whole_is_torn() {
    for (name, value) in [("description", json!("old")), ("revision", json!(3))] {
        let mut world = World::sound();
        world.seen.rows.get_mut("apps/1").unwrap()[name] = value;
        world.is_found(Kind::Torn, "is not what 2 events tell");
    }
    let mut world = World::sound();
    world.journal.retain(|entry| !matches!(entry, Entry::Told { request: 0, .. }));
    world.told(0, 201, json!({"id": 7, "revision": 1}));
    world.is_found(Kind::Torn, "apps/1 was told to be 7");
}

#[test]
fn what_has_lost_what_it_belongs_to_is_an_orphan() {
    let mut world = World::sound();
    world.log().pop();
    world.seen.audit.pop();
    let row = json!({"id": 2, "app_id": 2, "tag": "v2", "changelog": "", "revision": 1});
    world.seen.rows.insert("versions/2".into(), row);
    world.is_found(Kind::Orphan, "versions/2");
}

#[test]
fn a_key_with_two_answers_is_found() {
    let mut world = World::sound();
    for id in [3, 4] {
        let request = world.asked(create_app("keyed"), Some("key"));
        world.told(request, 201, json!({"id": id, "revision": 1}));
    }
    world.is_found(Kind::AnsweredOtherwise, "keyed");
}

#[test]
fn a_server_error_is_found() {
    for (status, body) in [(500, json!({"outcome": "unknown"})), (502, json!({})), (503, json!({}))] {
        let mut world = World::sound();
        let request = world.asked(create_app("failed"), None);
        world.told(request, status, body);
        world.is_found(Kind::Failed, "failed");
    }
}

#[test]
fn what_stands_in_another_order_than_in_its_own_log_is_found_also_of_another_subject() {
    let mut world = World::sound();
    world.seen.audit.swap(2, 5);
    (world.seen.audit[2].place, world.seen.audit[5].place) = (3, 6);
    world.is_found(Kind::OutOfOrder, "of an event of the log all before");

    // Of two logs each has its own order.
    let mut world = World::sound();
    let other = world.log().split_off(7);
    let other = other.into_iter().zip(1..).map(|(fact, place)| Fact { place, ..fact }).collect();
    world.seen.logs.insert("other".to_owned(), other);
    assert_eq!(check(&world.journal, &world.seen), []);
    world.seen.audit.swap(6, 7);
    (world.seen.audit[6].place, world.seen.audit[7].place) = (7, 8);
    assert!(check(&world.journal, &world.seen).iter().all(|found| !found.what.contains("of an event of the log")));
}

#[test]
fn what_the_test_has_put_on_the_bus_must_be_audited_as_what_it_is() {
    let foreign = |id: &str, event_type: &str, data: Value| Fact {
        place: 10,
        id: id.to_owned(),
        event_type: event_type.to_owned(),
        subject: "events".to_owned(),
        data,
    };
    let event = Injected::Event { id: "of-a-team".to_owned(), event_type: "TeamCreated".to_owned() };
    let garbage = Injected::Unreadable { payload: "garbage".to_owned() };
    let as_event = foreign("of-a-team", "TeamCreated", json!({}));
    let as_garbage = foreign("any", "Unreadable", json!({"reason": "no JSON", "payload": "garbage"}));
    for (injected, entry) in [(event.clone(), as_event.clone()), (garbage, as_garbage)] {
        let mut world = World::sound();
        world.seen.injected.push(injected);
        world.is_found(Kind::NotAudited, "");
        world.seen.audit.push(entry.clone());
        assert_eq!(check(&world.journal, &world.seen), []);
        world.seen.injected.clear();
        world.is_found(Kind::Phantom, "never logged");
    }
    let mut world = World::sound();
    world.seen.injected.push(event);
    world.seen.audit.extend([as_event.clone(), Fact { place: 11, ..as_event }]);
    world.is_found(Kind::Twice, "of-a-team");
}

#[test]
fn what_is_written_to_a_journal_is_in_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = Journal::create(&path);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for entry in World::sound().journal {
            journal.write(&entry).await;
        }
    });
    // It is still open: what was written does not wait for its end.
    let read = Journal::read(&path);
    assert_eq!(format!("{read:?}"), format!("{:?}", World::sound().journal));
}
