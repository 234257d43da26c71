use alm_core::{domain::Role, ports::Rate, services::LoginLimits};
use alm_http::Api;
use serde_json::json;

use crate::support::{Given, LONG, PASSWORD, Server, Setup};

#[tokio::test]
async fn the_right_password_gives_a_token_of_the_accounts_role() {
    let server = Server::start().await;
    server.admin().account("bob", "user").await;
    server.admin().account("amy", "admin").await;
    for (name, users) in [("bob", 403), ("amy", 200)] {
        let answer = server.anyone().post("/login", &json!({"username": name, "password": PASSWORD})).await.is(200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let token = answer.json();
        assert_eq!((&token["token_type"], &token["expires_in"]), (&json!("Bearer"), &json!(900)));
        let client = server.anyone().with_token(token["access_token"].as_str().unwrap());
        client.get("/apps").await.is(200);
        client.get("/users").await.is(users);
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_account_look_the_same() {
    let server = Server::start().await;
    server.admin().account("bob", "user").await;
    let login = async |name: &str, password: &str| {
        let answer = server.anyone().post("/login", &json!({"username": name, "password": password})).await;
        let challenge = answer.header("www-authenticate").map(str::to_owned);
        let mut problem = answer.problem(401, "wrong-credentials");
        problem["request_id"] = json!("");
        (challenge, problem)
    };
    assert_eq!(login("bob", "guess").await, login("nobody", "guess").await);
    let story = server.story().await;
    assert_eq!(story[1..], ["LoginFailed users/bob", "LoginFailed users/nobody"]);
}

#[tokio::test]
async fn too_many_attempts_are_429_also_with_the_right_password() {
    let slow = Rate { burst: 2.try_into().unwrap(), interval: 100 * LONG };
    let slow = LoginLimits::default().per_account_and_address(slow);
    let server = Setup::default().alm(move |alm| alm.login_limits(slow)).start().await;
    server.admin().account("bob", "user").await;
    let login = async |name: &str, password: &str| {
        server.anyone().post("/login", &json!({"username": name, "password": password})).await
    };
    login("bob", "guess").await.is(401);
    login("bob", "guess").await.is(401);
    let refused = login("bob", PASSWORD).await;
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=100 * LONG.as_secs()).contains(&seconds));
    refused.problem(429, "too-many-logins");
    login("nobody", "guess").await.is(401);
    // Whoever has a token is not slowed down.
    server.by("bob", Role::User).get("/apps").await.is(200);
}

#[tokio::test]
async fn the_throttle_does_not_count_what_is_no_attempt() {
    let once = Rate { burst: 1.try_into().unwrap(), interval: 100 * LONG };
    let once = LoginLimits::default().per_account_and_address(once);
    let server = Setup::default().alm(move |alm| alm.login_limits(once)).start().await;
    server.admin().account("bob", "user").await;
    let anyone = server.anyone();
    for _ in 0..3 {
        anyone.post("/login", &json!({"username": "bob"})).await.is(422);
    }
    anyone.post("/login", &json!({"username": "bob", "password": PASSWORD})).await.is(200);
}

/// A server that lets each address try once, behind a proxy at the address of the tests if `trusted`.
async fn throttled_by_address(trusted: bool) -> Server {
    let once = Rate { burst: 1.try_into().unwrap(), interval: 100 * LONG };
    let once = LoginLimits::default().per_address(once);
    let proxies = if trusted { "127.0.0.1" } else { "" };
    let trusting = move |api: Api| api.trusted_proxies(proxies.parse().unwrap());
    Setup::default().alm(move |alm| alm.login_limits(once)).api(trusting).start().await
}

#[tokio::test]
async fn who_makes_up_addresses_is_slowed_down_all_the_same() {
    let guess = json!({"username": "bob", "password": "guess"});
    for trusted in [false, true] {
        let server = throttled_by_address(trusted).await;
        let login = async |name: &str, value: String| server.anyone().post("/login", &guess).header(name, value).await;
        // Behind the proxy he can say what he likes before what it says of him.
        let says = |n: u32| if trusted { format!("for=6.6.6.{n}, for=192.0.2.1") } else { format!("for=6.6.6.{n}") };
        login("forwarded", says(1)).await.is(401);
        login("forwarded", says(2)).await.problem(429, "too-many-logins");
    }
}

#[tokio::test]
async fn who_comes_by_a_trusted_proxy_is_counted_by_himself() {
    let server = throttled_by_address(true).await;
    let guess = json!({"username": "bob", "password": "guess"});
    let login = async |name: &str, value: &str| server.anyone().post("/login", &guess).header(name, value).await;
    login("forwarded", "for=192.0.2.1").await.is(401);
    login("forwarded", "for=192.0.2.2").await.is(401);
    login("x-forwarded-for", "192.0.2.3").await.is(401);
    login("x-forwarded-for", "192.0.2.2").await.problem(429, "too-many-logins");
    // One of which nothing can be known counts as the proxy.
    login("forwarded", "for=unknown").await.is(401);
    login("forwarded", "nonsense").await.problem(429, "too-many-logins");
}
