//! What was refused for no good reason.

use serde_json::json;

use super::{World, create_app, create_deployment, create_version, moved, update_app};
use crate::journal::{Ask, Kind, Part, Seen, refused};

#[test]
fn a_refusal_is_found_that_no_fault_excuses() {
    let not_reached = |upstream: &str| json!({"code": "upstream-unavailable", "upstream": upstream});
    let unavailable = || json!({"code": "unavailable", "outcome": "not_applied"});
    let cases = [
        (create_app("one"), 503, not_reached("app"), Part::App),
        (moved(1, "failed"), 502, not_reached("deployment"), Part::Deployment),
        (create_version(1, "v"), 504, not_reached("version"), Part::Version),
        (create_version(1, "v"), 503, unavailable(), Part::App),
        (create_deployment(1, "prod"), 503, unavailable(), Part::Version),
    ];
    for (ask, status, body, excuse) in cases {
        let mut world = World::default();
        let request = world.asked(ask, None);
        world.told(request, status, body);
        assert_eq!(refused(&world.journal, &[excuse]), []);
        for others in [&[][..], &Part::ALL.into_iter().filter(|part| *part != excuse).collect::<Vec<_>>()] {
            let found = refused(&world.journal, others);
            assert_eq!(found.iter().map(|it| it.kind).collect::<Vec<_>>(), [Kind::Refused], "{:?}", world.journal);
        }
    }
    // Its own store, a bus that is away: nothing excuses these.
    for ask in [create_app("one"), moved(1, "failed"), Ask::UpdateVersion { id: 1, changelog: String::new() }] {
        let mut world = World::default();
        let request = world.asked(ask, None);
        world.told(request, 503, unavailable());
        assert_eq!(refused(&world.journal, &Part::ALL).len(), 1);
    }
}

#[test]
fn a_parent_that_is_there_and_is_said_not_to_be_is_found() {
    let mut world = World::sound();
    for (ask, status) in [
        (create_version(1, "v2"), 422),
        (create_deployment(1, "prod2"), 422),
        (update_app(1, "one", "newest"), 404),
        (moved(1, "failed"), 404),
    ] {
        let mut world = World { journal: world.journal.clone(), seen: Seen::default() };
        let request = world.asked(ask, None);
        world.told(request, status, json!({"code": "unknown-parent"}));
        assert_eq!(refused(&world.journal, &Part::ALL).len(), 1);
        // as soon as someone asks for its end it may be gone
        world.asked(Ask::DeleteApp { id: 1 }, None);
        assert_eq!(refused(&world.journal, &Part::ALL), []);
    }
    let request = world.asked(create_version(2, "v2"), None);
    world.told(request, 422, json!({"code": "unknown-parent"}));
    assert_eq!(refused(&world.journal, &[]), []);
}
