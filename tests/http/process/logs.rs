use serde_json::{Value, json};

use super::{Clients as _, Process};
use crate::support::{Given, PASSWORD, SECRET};

#[tokio::test]
async fn logs_are_one_json_object_a_line_and_hold_no_secret() {
    let secret = str::from_utf8(SECRET).unwrap();
    let settings = [("ADMIN_PASSWORD", PASSWORD), ("JWT_SECRET", secret), ("LOG", "trace")];
    let mut server = Process::serve(&settings);
    let anyone = server.client();
    let login = json!({"username": "admin", "password": PASSWORD});
    let token = anyone.post("/login", &login).key("key").await.ok(200)["access_token"].as_str().unwrap().to_owned();
    let admin = anyone.with_token(&token);
    anyone.post("/login", &login).key("key").await.is(200);
    anyone.post("/login", &json!({"username": "admin", "password": format!("not-{PASSWORD}")})).await.is(401);
    anyone.post("/login", &json!({"username": PASSWORD, "password": [PASSWORD]})).await.is(422);
    admin.account("bob", "user").await;
    admin.put("/users/bob/password", &json!({"password": format!("new-{PASSWORD}")})).await.is(204);
    anyone.with_token(format!("{token}x")).get("/apps").await.is(401);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    admin.get("/apps").header("x-request-id", "mine").header("traceparent", trace).await.is(200);
    server.signal("TERM");
    let ended = server.ended();
    assert_eq!(ended.status.code(), Some(0));

    let signature = token.rsplit('.').next().unwrap();
    for line in &ended.stdout {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line} is not JSON"));
        assert!(object.is_object(), "{line}");
        for name in ["timestamp", "level"] {
            assert!(object[name].is_string(), "{line} has no {name}");
        }
        for (what, text) in
            [("the password", PASSWORD), ("the secret", secret), ("a token", signature), ("a hash", "$argon2")]
        {
            assert!(!line.contains(text), "{line} shows {what}");
        }
    }
    let request = ended.stdout.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let request = request.into_iter().find(|line| line["request_id"] == "mine" && line["message"] == "request");
    let request = request.expect("each request is logged under its id");
    let expected = json!({
        "service": "all", "action": "list_apps", "actor": "admin", "method": "GET", "route": "/apps", "status": 200,
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "parent_span_id": "00f067aa0ba902b7",
        "trace_flags": "01",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&request[name], value, "{name} in {request}");
    }
    assert!(request["duration_us"].is_u64() && request["span_id"].as_str().is_some_and(|id| id.len() == 16));
    let tried = ended.stdout.iter().find(|line| line.contains("\"login\"") && line.contains("401"));
    let tried: Value = serde_json::from_str(tried.expect("log-ins are logged")).unwrap();
    assert_eq!((&tried["action"], tried.get("actor")), (&json!("login"), None), "{tried}");
}

#[tokio::test]
async fn nothing_that_a_client_sends_makes_a_line_of_its_own() {
    let mut server = Process::serve(&[("ADMIN_PASSWORD", PASSWORD), ("LOG", "trace")]);
    let forged = "x\n{\"level\":\"ERROR\",\"message\":\"forged\"}\r\n\u{1b}[31m\u{2028}";
    let anyone = server.client();
    let login = json!({"username": "admin", "password": PASSWORD});
    let admin = anyone.with_token(anyone.post("/login", &login).await.ok(200)["access_token"].as_str().unwrap());
    anyone.post("/login", &json!({"username": forged, "password": forged})).await;
    admin.post("/apps", &json!({"name": forged, forged: 1})).await;
    admin.get("/apps?name=x%0A%7B%22level%22%3A%22ERROR%22%2C%22message%22%3A%22forged%22%7D").await;
    admin.get("/x%0A%7B%22message%22%3A%22forged%22%7D").header("user-agent", "x\u{e9}\t{}").await;
    server.signal("TERM");
    for line in &server.ended().stdout {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line} is not JSON"));
        assert_eq!(object["service"], "all", "{line}");
        assert_ne!(object["message"], "forged", "{line}");
        assert!(!line.contains('\u{1b}') && !line.contains('\r'), "{line}");
    }
}
