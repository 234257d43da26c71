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
    admin.get("/apps").header("x-request-id", "mine").await.is(200);
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
    assert_eq!(
        (&request["method"], &request["route"], &request["status"]),
        (&json!("GET"), &json!("/apps"), &json!(200))
    );
}
