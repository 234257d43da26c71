use alm_core::{
    Principal,
    domain::{Actor, Role},
    ports::{Clock, SystemClock},
    testing::ManualClock,
};
use serde_json::json;

use crate::support::{Given, PASSWORD, Server, Setup, each};

const OTHER: &str = "another-password";

#[tokio::test]
async fn an_account_is_created_listed_and_deleted() {
    let server = Server::start().await;
    let root = server.admin();
    let created = root.post("/users", &json!({"username": "bob", "password": PASSWORD, "role": "user"})).await.is(201);
    assert_eq!(created.header("location"), Some("/users/bob"));
    let bob = created.json();
    assert_eq!((&bob["username"], &bob["role"]), (&json!("bob"), &json!("user")));
    root.account("amy@example.org", "admin").await;

    let users = root.get("/users").await.ok(200);
    assert_eq!(users[0], bob);
    assert_eq!(each(&users, "username"), ["bob", "amy@example.org"], "the oldest comes first");

    root.delete("/users/bob").await.is(204);
    assert_eq!(each(&root.get("/users").await.ok(200), "username"), ["amy@example.org"]);
    root.delete("/users/bob").await.problem(404, "not-found");
    server.anyone().post("/login", &json!({"username": "bob", "password": PASSWORD})).await.is(401);
}

#[tokio::test]
async fn a_username_is_taken_by_one_account() {
    let server = Server::start().await;
    let root = server.admin();
    root.account("bob", "user").await;
    let again = json!({"username": "bob", "password": PASSWORD, "role": "admin"});
    root.post("/users", &again).await.problem(409, "username-taken");
}

#[tokio::test]
async fn an_account_cannot_delete_itself() {
    let server = Server::start().await;
    server.admin().account("root", "admin").await;
    server.admin().delete("/users/root").await.problem(409, "own-account");
    assert_eq!(each(&server.admin().get("/users").await.ok(200), "username"), ["root"]);
}

#[tokio::test]
async fn a_user_sets_the_own_password_and_no_other() {
    let server = Server::start().await;
    let root = server.admin();
    root.account("bob", "user").await;
    root.account("amy", "user").await;
    let bob = server.by("bob", Role::User);
    let login = async |name: &str, password: &str| {
        server.anyone().post("/login", &json!({"username": name, "password": password})).await.status
    };

    bob.put("/users/bob/password", &json!({"password": OTHER})).await.is(204);
    assert_eq!((login("bob", PASSWORD).await, login("bob", OTHER).await), (401, 200));

    bob.put("/users/amy/password", &json!({"password": OTHER})).await.problem(403, "forbidden");
    bob.put("/users/nobody/password", &json!({"password": OTHER})).await.problem(403, "forbidden");
    assert_eq!(login("amy", PASSWORD).await, 200);

    root.put("/users/amy/password", &json!({"password": OTHER})).await.is(204);
    assert_eq!(login("amy", OTHER).await, 200);
    root.put("/users/nobody/password", &json!({"password": OTHER})).await.problem(404, "not-found");
}

#[tokio::test]
async fn who_sets_the_own_password_in_a_session_shows_the_current_one_unless_he_has_just_logged_in() {
    let clock = ManualClock::at(SystemClock.now().micros());
    let time = clock.clone();
    let server = Setup::default().alm(move |alm| alm.clock(time)).start().await;
    server.admin().account("bob", "user").await;
    let acting = async || {
        let tokens = server.anyone().login("bob").await;
        server.anyone().with_token(tokens["access_token"].as_str().unwrap())
    };
    let password = "/users/bob/password";
    let bob = acting().await;
    clock.move_by(301 * 1_000_000);
    let fields = bob.put(password, &json!({"password": OTHER})).await.refused_fields();
    assert_eq!(fields, ["/current_password: missing-field"]);
    let wrong = json!({"password": OTHER, "current_password": "guess"});
    assert_eq!(bob.put(password, &wrong).await.refused_fields(), ["/current_password: wrong-password"]);
    bob.put(password, &json!({"password": OTHER, "current_password": PASSWORD})).await.is(204);
    bob.get("/apps").await.problem(401, "invalid-token");
    server.admin().put(password, &json!({"password": PASSWORD})).await.is(204);
    acting().await.put(password, &json!({"password": OTHER})).await.is(204);
}

#[tokio::test]
async fn a_token_that_only_bears_the_name_of_an_account_does_not_become_it() {
    let server = Server::start().await;
    let root = server.admin();
    let password = json!({"password": OTHER});
    for account in [json!({"role": "viewer", "scopes": ["admin"]}), json!({"role": "admin"})] {
        let mut account = account;
        account["username"] = "bob".into();
        account["password"] = PASSWORD.into();
        root.post("/users", &account).await.is(201);
        server.by("bob", Role::Viewer).put("/users/bob/password", &password).await.problem(403, "forbidden");
        root.delete("/users/bob").await.is(204);
    }
    // Whoever may set any password by a scope may set this one.
    root.account("bob", "user").await;
    let by_scope = Principal::new(Actor::parse("eve").unwrap(), Role::Viewer).with_scope("admin");
    server.with(&by_scope).put("/users/bob/password", &password).await.is(204);
}

#[tokio::test]
async fn an_account_has_no_revision_so_no_if_match_but_a_star_holds() {
    let server = Server::start().await;
    let root = server.admin();
    root.account("bob", "user").await;
    let password = json!({"password": OTHER});
    root.put("/users/bob/password", &password).if_match("\"1\"").await.problem(412, "precondition-failed");
    root.delete("/users/bob").if_match("\"1\"").await.problem(412, "precondition-failed");
    root.put("/users/bob/password", &password).if_match("*").await.is(204);
    root.delete("/users/bob").if_match("*").await.is(204);
}

#[tokio::test]
async fn users_are_listed_in_pages_each_once_oldest_first() {
    let server = Server::start().await;
    let root = server.admin();
    let names = ["mia", "bob", "zoe", "amy", "kim"];
    for name in names {
        root.account(name, "user").await;
    }
    let page = root.get("/users?limit=2").await.is(200);
    assert_eq!(each(&page.json(), "username"), ["mia", "bob"]);
    assert_eq!(each(&root.all("/users?limit=2").await.into(), "username"), names);
}
