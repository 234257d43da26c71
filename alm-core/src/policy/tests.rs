use super::*;
use crate::domain::{Actor, AppId, EnvironmentName, Grant, Username};

fn principal(name: &str, role: Role) -> Principal {
    Principal::new(Actor::parse(name).unwrap(), role)
}

fn app(id: i64) -> Place {
    Place::app(AppId::new(id).unwrap())
}

fn environment(id: i64, name: &str) -> Place {
    Place::environment(AppId::new(id).unwrap(), EnvironmentName::parse(name).unwrap())
}

/// What `principal` may do in `place`.
fn may(principal: &Principal, place: Option<Place>) -> Vec<&'static str> {
    let target = Target::new(Subject::Apps, place);
    let may = Action::ALL.iter().filter(|action| action.rule().allows(principal, &target));
    may.map(|action| action.as_str()).collect()
}

const READ: [&str; 12] = [
    "login",
    "refresh_token",
    "exchange_api_key",
    "logout",
    "whoami",
    "list_apps",
    "get_app",
    "list_environments",
    "list_versions",
    "get_version",
    "list_deployments",
    "get_deployment",
];

/// `READ` and these, in the order of the table.
fn read_and(more: &[&str]) -> Vec<&'static str> {
    let names = Action::ALL.iter().map(|action| action.as_str());
    names.filter(|name| READ.contains(name) || more.contains(name)).collect()
}

#[test]
fn each_role_may_do_what_it_is_for() {
    assert_eq!(may(&principal("ada", Role::Viewer), None), READ);
    let deploy = ["create_deployment", "update_deployment"];
    assert_eq!(may(&principal("ada", Role::Deployer), None), read_and(&deploy));
    let write =
        ["create_app", "update_app", "create_version", "update_version", "create_deployment", "update_deployment"];
    assert_eq!(may(&principal("ada", Role::User), None), read_and(&write));
    let audit = [
        "list_audit_entries",
        "get_audit_entry",
        "get_audit_checkpoint",
        "get_audit_proof",
        "get_audit_consistency",
        "get_audit_tile",
    ];
    assert_eq!(may(&principal("ada", Role::Auditor), None), read_and(&audit));
    assert_eq!(may(&Principal::system(), None).len(), Action::ALL.len());
}

#[test]
fn a_scope_opens_one_thing_more_and_nothing_else() {
    let service = principal("ada", Role::Viewer).with_scope(SCOPE_SERVICE);
    assert_eq!(may(&service, None), read_and(&["list_events"]));
    let of_a_host = principal("ada", Role::Viewer).with_scope("openid").with_scope("Admin").with_scope("admin:");
    assert_eq!(may(&of_a_host, None), READ);
}

#[test]
fn a_grant_everywhere_is_as_good_as_the_role() {
    for role in Role::ALL {
        let granted = principal("ada", Role::Viewer).with_grants([&Grant::everywhere(role)]);
        for place in [None, Some(app(7)), Some(environment(7, "prod"))] {
            assert_eq!(may(&granted, place.clone()), may(&principal("ada", role), place));
        }
    }
}

#[test]
fn a_deployer_of_one_environment_deploys_there_and_nowhere_else() {
    let deployer = principal("ci", Role::Viewer).with_scope("deployer:7/prod");
    let deploy = read_and(&["create_deployment", "update_deployment"]);
    assert_eq!(may(&deployer, Some(environment(7, "prod"))), deploy);
    for elsewhere in [None, Some(app(7)), Some(environment(7, "staging")), Some(environment(8, "prod"))] {
        assert_eq!(may(&deployer, elsewhere.clone()), READ, "{elsewhere:?}");
    }
    let of_any_app = principal("ci", Role::Viewer).with_scope("deployer:*/prod");
    assert_eq!(may(&of_any_app, Some(environment(8, "prod"))), deploy);
    assert_eq!(may(&of_any_app, Some(environment(8, "staging"))), READ);
}

#[test]
fn a_role_in_one_app_is_good_for_all_that_is_in_it_and_for_nothing_that_is_in_none() {
    let admin = principal("ada", Role::Viewer).with_scope("admin:7");
    for place in [app(7), environment(7, "prod")] {
        assert_eq!(may(&admin, Some(place)).len(), Action::ALL.len());
    }
    for elsewhere in [None, Some(app(8)), Some(environment(8, "prod"))] {
        assert_eq!(may(&admin, elsewhere), READ);
    }
}

#[test]
fn a_user_sets_its_own_password_and_no_other() {
    let subject = |name| Target::from(Subject::User(Username::parse(name).unwrap()));
    let ada = principal("ada", Role::Viewer);
    assert!(Action::SetPassword.rule().allows(&ada, &subject("ada")));
    assert!(!Action::SetPassword.rule().allows(&ada, &subject("bob")));
    assert!(!Action::DeleteUser.rule().allows(&ada, &subject("ada")));
}

#[test]
fn names_are_unique() {
    for action in Action::ALL {
        assert_eq!(Action::parse(action.as_str()), Some(*action));
        assert_eq!(serde_json::to_value(action).unwrap(), action.as_str());
    }
}

#[test]
fn a_grant_is_read_as_it_is_written() {
    for text in ["admin", "viewer:1", "deployer:7/prod", "deployer:*/prod", "user:9223372036854775807/a.b-c_d"] {
        assert_eq!(Grant::parse(text).unwrap().to_string(), text);
    }
    let no_grants = [
        "",
        ":",
        "root",
        "Admin",
        "admin ",
        " admin",
        "admin:",
        "admin:*",
        "admin:0",
        "admin:07",
        "admin:+7",
        "admin:-7",
        "admin:7/",
        "admin:7/Prod",
        "admin:7/prod/x",
        "admin:/prod",
        "admin:9223372036854775808",
        "admin:7:prod",
    ];
    for text in no_grants {
        assert_eq!(Grant::parse(text).unwrap_err().code, "not-a-grant", "{text:?}");
    }
}
