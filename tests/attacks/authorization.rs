//! What those may not do who have a token that counts.

use crate::{
    given::{
        Answer, Attack, DENIED, NO_TOKEN, Request, a, attack, field, harmless, named, no_one, refused, scoped,
        with_token,
    },
    target::{Setup, Target},
};

const PASSWORD: &str = r#"{"password":"staple battery lamp"}"#;
const NEW_ADMIN: &str = r#"{"username":"mal","password":"staple battery lamp","role":"admin"}"#;
const NEW_KEY: &str = r#"{"name":"mal","role":"admin","expires_in_days":9}"#;
const ADMIN: &str = r#"{"role":"admin"}"#;
const VERSION: &str = r#"{"app_id":1,"tag":"v2"}"#;
const TO_PROD: &str = r#"{"version_id":1,"environment":"prod"}"#;
const TO_PROD_ELSEWHERE: &str = r#"{"version_id":2,"environment":"prod"}"#;
const TO_STAGING: &str = r#"{"version_id":1,"environment":"staging"}"#;
const RUNNING: &str = r#"{"status":"running"}"#;
const NOT_FOUND: Answer = refused(404, "not-found");

/// A viewer with this scope besides.
fn viewer(scope: &str, line: &str) -> Request {
    scoped("viewer", scope, line)
}

/// An account with this scope, made by an admin who may.
fn granting(scope: &str) -> Request {
    let body = format!(r#"{{"username":"mal","password":"staple battery lamp","role":"viewer","scopes":["{scope}"]}}"#);
    a("admin", "POST /users").json(body)
}

pub(crate) fn attacks() -> Vec<Attack> {
    [roles(), escalation(), places(), scopes(), own_account()].into_iter().flatten().collect()
}

#[rustfmt::skip]
fn roles() -> Vec<Attack> {
    vec![
        attack("no one lists apps", no_one("GET /apps"), refused(401, "unauthenticated")),
        attack("no one makes an app", no_one("POST /apps").json(r#"{"name":"a"}"#), refused(401, "unauthenticated")),
        attack("no one logs out", no_one("POST /logout"), refused(401, "unauthenticated")),
        attack("no one reads the events", no_one("GET /events"), refused(401, "unauthenticated")),
        attack("a user deletes an app", a("user", "DELETE /apps/1"), DENIED),
        attack("a user deletes a version", a("user", "DELETE /versions/1"), DENIED),
        attack("a user deletes a deployment", a("user", "DELETE /deployments/1"), DENIED),
        attack("a user reads the audit log", a("user", "GET /audit/events"), DENIED),
        attack("a user reads the audit log by its other name", a("user", "GET /audits"), DENIED),
        attack("a user reads one entry of the audit log", a("user", "GET /audit/events/1"), DENIED),
        attack("a user reads the checkpoint of the audit log", a("user", "GET /audit/checkpoint"), DENIED),
        attack("a user reads the events", a("user", "GET /events"), DENIED),
        attack("a user follows the events", a("user", "GET /events").header("accept: text/event-stream"), DENIED),
        attack("a user lists the accounts", a("user", "GET /users"), DENIED),
        attack("a user deletes an app that there is not", a("user", "DELETE /apps/99"), DENIED),
        attack("a viewer makes an app", a("viewer", "POST /apps").json(r#"{"name":"a"}"#), DENIED),
        attack("a viewer renames an app", a("viewer", "PUT /apps/1").json(r#"{"name":"a"}"#), DENIED),
        attack("a viewer makes a version", a("viewer", "POST /versions").json(VERSION), DENIED),
        attack("a viewer deploys", a("viewer", "POST /deployments").json(TO_PROD), DENIED),
        attack("a viewer moves a deployment", a("viewer", "PUT /deployments/1").json(RUNNING), DENIED),
        attack("a deployer makes a version", a("deployer", "POST /versions").json(VERSION), DENIED),
        attack("a deployer deletes a deployment", a("deployer", "DELETE /deployments/1"), DENIED),
        attack("an auditor deploys", a("auditor", "POST /deployments").json(TO_PROD), DENIED),
        attack("an auditor reads the events", a("auditor", "GET /events"), DENIED),
        attack("an auditor lists the accounts", a("auditor", "GET /users"), DENIED),
    ]
}

#[rustfmt::skip]
fn escalation() -> Vec<Attack> {
    vec![
        attack("a user makes an admin", a("user", "POST /users").json(NEW_ADMIN), DENIED),
        attack("a user makes himself an admin", with_token("{token of a session}", "PUT /users/bob").json(ADMIN), DENIED),
        attack("a user makes another one an admin", a("user", "PUT /users/eve").json(ADMIN), DENIED),
        attack("a user demotes an admin", a("user", "PUT /users/amy").json(r#"{"role":"viewer"}"#), DENIED),
        attack("a user deletes an admin", a("user", "DELETE /users/amy"), DENIED),
        attack("a user deletes himself", with_token("{token of a session}", "DELETE /users/bob"), DENIED),
        attack("a user sets the password of an admin", a("user", "PUT /users/amy/password").json(PASSWORD), DENIED),
        attack("a user makes an API key", a("user", "POST /api-keys").json(NEW_KEY), DENIED),
        attack("a user lists the API keys", a("user", "GET /api-keys"), DENIED),
        attack("a user reads an API key", a("user", "GET /api-keys/{id of key ci}"), DENIED),
        attack("a user gets the next secret of an API key", a("user", "POST /api-keys/{id of key ci}/rotate").json("{}"), DENIED),
        attack("a user ends an API key", a("user", "DELETE /api-keys/{id of key ci}"), DENIED),
        attack("someone who was demoted makes an admin", with_token("{token of someone who was demoted}", "POST /users").json(NEW_ADMIN), NO_TOKEN),
        attack("an API key that was revoked makes another", with_token("{key revoked}", "POST /api-keys").json(NEW_KEY), NO_TOKEN),
        attack("a field that there is not makes one an admin", a("user", "POST /apps").json(r#"{"name":"a","role":"admin"}"#), field("/role: unknown-field")),
        attack("a header that there is not makes one an admin", a("user", "GET /users").header("x-role: admin").header("x-user: amy"), DENIED),
        attack("another method by a header", a("user", "GET /users/amy").header("x-http-method-override: DELETE"), refused(405, "method-not-allowed")),
        attack("another method by a parameter", a("user", "GET /apps/1?_method=DELETE"), refused(400, "unknown-parameter")),
        attack("another path by a header", a("user", "GET /apps/1").header("x-original-url: /users").header("x-rewrite-url: /users"), harmless(200, &[])),
    ]
}

#[rustfmt::skip]
fn places() -> Vec<Attack> {
    vec![
        attack("a role in app 1 renames app 2", viewer("user:1", "PUT /apps/2").json(r#"{"name":"a"}"#), DENIED),
        attack("a role in app 1 deletes app 2", viewer("admin:1", "DELETE /apps/2"), DENIED),
        attack("a role in app 1 makes an app", viewer("admin:1", "POST /apps").json(r#"{"name":"a"}"#), DENIED),
        attack("a role in app 1 makes a version of app 2", viewer("user:1", "POST /versions").json(r#"{"app_id":2,"tag":"v2"}"#), DENIED),
        attack("a role in app 1 changes a version of app 2", viewer("user:1", "PUT /versions/2").json("{}"), DENIED),
        attack("a role in app 1 deploys app 2", viewer("deployer:1", "POST /deployments").json(TO_PROD_ELSEWHERE), DENIED),
        attack("a role in app 1 says that app 2's version is of app 1", viewer("deployer:1", "POST /deployments").json(r#"{"version_id":2,"app_id":1,"environment":"prod"}"#), DENIED),
        attack("a role in app 1 moves a deployment of app 2", viewer("deployer:1/prod", "PUT /deployments/2").json(RUNNING), DENIED),
        attack("a role in app 12 in app 1", viewer("user:12", "PUT /apps/1").json(r#"{"name":"a"}"#), DENIED),
        attack("a role in staging deploys to prod", viewer("deployer:1/staging", "POST /deployments").json(TO_PROD), DENIED),
        attack("a role in prod deploys to staging", viewer("deployer:1/prod", "POST /deployments").json(TO_STAGING), DENIED),
        attack("a role in prod of all apps deploys to staging", viewer("deployer:*/prod", "POST /deployments").json(TO_STAGING), DENIED),
        attack("a role in prod makes a version", viewer("user:1/prod", "POST /versions").json(VERSION), DENIED),
        attack("an admin of app 1 makes an admin", viewer("admin:1", "POST /users").json(NEW_ADMIN), DENIED),
        attack("an admin of app 1 makes an API key", viewer("admin:1", "POST /api-keys").json(NEW_KEY), DENIED),
        attack("an admin of app 1 reads the audit log", viewer("admin:1", "GET /audit/events?subject=apps/1"), DENIED),
        attack("an admin of prod sets a password", viewer("admin:*/prod", "PUT /users/amy/password").json(PASSWORD), DENIED),
        attack("an auditor of app 1 reads the audit log", viewer("auditor:1", "GET /audit/events"), DENIED),
        attack("a service deletes an app", viewer("service", "DELETE /apps/1"), DENIED),
        attack("a service makes an app", viewer("service", "POST /apps").json(r#"{"name":"a"}"#), DENIED),
    ]
}

#[rustfmt::skip]
fn scopes() -> Vec<Attack> {
    vec![
        attack("a scope without its place", viewer("admin:", "DELETE /apps/1"), DENIED),
        attack("a scope of app *", viewer("admin:*", "DELETE /apps/1"), DENIED),
        attack("a scope of app 01", viewer("admin:01", "DELETE /apps/1"), DENIED),
        attack("a scope of app +1", viewer("admin:+1", "DELETE /apps/1"), DENIED),
        attack("a scope of app 1 and nowhere", viewer("admin:1/", "DELETE /deployments/1"), DENIED),
        attack("a scope of app 1 and everywhere", viewer("admin:1/*", "DELETE /deployments/1"), DENIED),
        attack("a scope in capitals", viewer("ADMIN", "DELETE /apps/1"), DENIED),
        attack("a scope with a comma", viewer("viewer,admin", "DELETE /apps/1"), DENIED),
        attack("a scope with a tab", viewer("viewer\\tadmin", "DELETE /apps/1"), DENIED),
        attack("a scope that begins with another", viewer("adminx", "DELETE /apps/1"), DENIED),
        attack("an account with a scope that is none", granting("admin:"), field("/scopes/0: not-a-grant")),
        attack("an account with the scope of services", granting("service"), field("/scopes/0: not-a-grant")),
        attack("an account with two scopes in one", granting("viewer admin"), field("/scopes/0: not-a-grant")),
        attack("an account with a scope of another path", granting("user:1/../2"), field("/scopes/0: not-a-grant")),
        attack("an account with a role that there is not", a("admin", "PUT /users/bob").json(r#"{"role":"root"}"#), field("/role: invalid-type")),
        attack("an account with a role that is an object", a("admin", "PUT /users/bob").json(r#"{"role":{"admin":null}}"#), field("/role: invalid-type")),
    ]
}

#[rustfmt::skip]
fn own_account() -> Vec<Attack> {
    let own = |line: &str| with_token("{token of a session of an admin}", line);
    vec![
        attack("an admin deletes himself", own("DELETE /users/amy"), refused(409, "own-account")),
        attack("an admin demotes himself", own("PUT /users/amy").json(r#"{"role":"viewer"}"#), refused(409, "own-account")),
        attack("a user who calls himself amy sets her password", named("amy", "user", "", "PUT /users/amy/password").json(PASSWORD), DENIED),
        attack("a viewer who calls himself amy sets her password", named("amy", "viewer", "", "PUT /users/amy/password").json(PASSWORD), DENIED),
        attack("a user who calls himself Amy sets her password", named("Amy", "user", "", "PUT /users/amy/password").json(PASSWORD), DENIED),
        attack("an API key called amy sets her password", named("key:amy", "user", "", "PUT /users/amy/password").json(PASSWORD), DENIED),
        attack("an admin ends a session as if it were an API key", a("admin", "DELETE /api-keys/{id of a session}"), NOT_FOUND),
        attack("an admin reads a session as if it were an API key", a("admin", "GET /api-keys/{id of a session}"), NOT_FOUND),
        attack("an admin gets the next secret of a session", a("admin", "POST /api-keys/{id of a session}/rotate").json("{}"), NOT_FOUND),
        attack("a token that was made by hand logs another one out", named("bob", "user", "", "POST /logout"), refused(409, "no-session")),
    ]
}

#[tokio::test]
async fn no_one_does_what_he_may_not() {
    Target::start(Setup::default()).await.withstands(attacks()).await;
}
