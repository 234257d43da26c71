//! The client refuses every answer with a password or a hash in it; here everything is asked for that could have one.

use alm_core::domain::Role;
use serde_json::json;

use crate::support::{PASSWORD, Server};

#[tokio::test]
async fn no_answer_event_or_audit_entry_holds_a_password_or_its_hash() {
    let server = Server::start().await;
    let (root, anyone) = (server.admin(), server.anyone());
    let account = json!({"username": "bob", "password": PASSWORD, "role": "user"});
    root.post("/users", &account).key("key").await.is(201);
    root.post("/users", &account).key("key").await.is(201);
    root.post("/users", &account).await.problem(409, "username-taken");
    let login = json!({"username": "bob", "password": PASSWORD});
    anyone.post("/login", &login).key("key").await.is(200);
    anyone.post("/login", &login).key("key").await.is(200);
    anyone.post("/login", &json!({"username": "nobody", "password": PASSWORD})).await.problem(401, "wrong-credentials");
    let changed = json!({"password": format!("new-{PASSWORD}")});
    server.by("bob", Role::User).put("/users/bob/password", &changed).await.is(204);
    server.by("bob", Role::User).put("/users/root/password", &changed).await.problem(403, "forbidden");
    anyone.post("/login", &login).await.problem(401, "wrong-credentials");
    root.delete("/users/bob").await.is(204);
    server.settled().await;

    let (events, audit) = (server.events().await, root.all("/audit/events").await);
    // The session that ended with the old password is told of by itself.
    assert_eq!((events.len(), audit.len()), (8, 8), "{events:#?}");
    root.get("/users").await.is(200);
    anyone.get("/metrics").await.is(200);
}

#[tokio::test]
async fn a_refused_body_is_not_repeated_with_its_password() {
    let server = Server::start().await;
    let root = server.admin();
    let long = PASSWORD.repeat(20);
    for body in [
        json!({"username": "bob", "password": PASSWORD, "role": PASSWORD}),
        json!({"username": "bob", "password": [PASSWORD], "role": "user"}),
        json!({"username": "bob", "password": {"is": PASSWORD}, "role": "user"}),
        json!({"username": "", "password": PASSWORD, "role": "user"}),
        json!({"username": "bob", "password": long, "role": "user"}),
        json!({"username": ["bob"], "password": PASSWORD, "role": "user"}),
        json!(PASSWORD),
        json!([PASSWORD]),
    ] {
        root.post("/users", &body).await.is(422);
        root.call("POST", "/users").raw(Some("text/plain"), body.to_string()).await.is(415);
        root.call("POST", "/users").raw(Some("application/json"), format!("{body}}}")).await.is(400);
    }
}
