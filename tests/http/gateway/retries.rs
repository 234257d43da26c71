//! What goes out again, and what does not.

use std::{future::pending, time::Duration};

use serde_json::json;
use tokio::{net::TcpSocket, time::timeout};

use super::given::{Front, Puppet, Raw, Services, at};

const BODY: &str = "{\"name\": \"billing\"}";

/// What becomes of a request to a service that comes up a moment after it was sent: what the client is answered.
async fn a_moment_too_early(request: &str) -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    // Bound, so that no one else takes it, and refused as long as no one listens.
    let front = Front::of_one(at(socket.local_addr().unwrap())).await;
    let mut client = front.send(request).await;
    // What is not tried again is answered within this time.
    if let Ok(head) = timeout(Duration::from_millis(10), client.head()).await {
        return head;
    }
    let listener = socket.listen(8).unwrap();
    let service = async {
        let mut connection = Raw::of(listener.accept().await.unwrap().0);
        if connection.head().await.starts_with("post") {
            assert_eq!(connection.until("}").await, BODY, "nothing of the body is lost");
        }
        connection.write("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
        pending::<()>().await;
    };
    tokio::select! {
        () = service => unreachable!(),
        head = client.head() => head,
    }
}

#[tokio::test]
async fn a_read_or_a_keyed_post_goes_out_again_when_there_was_no_connection() {
    let post =
        |key: &str| format!("POST /apps HTTP/1.1\r\nhost: alm\r\n{key}content-length: {}\r\n\r\n{BODY}", BODY.len());
    for (request, repeats) in [
        ("GET /apps HTTP/1.1\r\nhost: alm\r\n\r\n".to_owned(), true),
        (post("idempotency-key: k\r\n"), true),
        (post(""), false),
        ("DELETE /apps/1 HTTP/1.1\r\nhost: alm\r\n\r\n".to_owned(), false),
        ("GET /apps HTTP/1.1\r\nhost: alm\r\ncontent-length: 1\r\n\r\nx".to_owned(), false),
    ] {
        // The pauses are random, from nothing on, so a round may be over before the service is there.
        let mut came = false;
        for _ in 0..5 {
            let head = a_moment_too_early(&request).await;
            came |= head.starts_with("http/1.1 204");
            assert!(came || head.starts_with("http/1.1 503"), "{head}");
            if came {
                break;
            }
        }
        assert_eq!(came, repeats, "{request}");
    }
}

#[tokio::test]
async fn what_was_sent_goes_out_once() {
    for request in [
        "GET /apps HTTP/1.1\r\nhost: alm\r\nconnection: close\r\n\r\n",
        "POST /apps HTTP/1.1\r\nhost: alm\r\nconnection: close\r\nidempotency-key: k\r\ncontent-length: 2\r\n\r\n{}",
    ] {
        let puppet = Puppet::new().await;
        let front = Front::of_one(puppet.url()).await;
        let client = front.send(request).await;
        // It was read, and the connection is lost.
        drop(puppet.request().await);
        assert!(client.rest().await.starts_with("HTTP/1.1 502"));
        let again = timeout(Duration::from_millis(300), puppet.connection()).await;
        assert!(again.is_err(), "{request}");
    }
}

#[tokio::test]
async fn connections_to_a_service_are_used_again() {
    let services = Services::start().await;
    let front = services.front().await;
    let ada = front.user();
    for n in 0..20 {
        ada.post("/apps", &json!({"name": format!("app {n}")})).await.is(201);
        ada.get("/apps").await.is(200);
    }
    assert!(services.app.connections() <= 2, "{}", services.app.connections());
}

#[tokio::test]
async fn a_service_that_was_restarted_is_found_again() {
    let mut services = Services::start().await;
    let front = services.front().await;
    let ada = front.user();
    for _ in 0..5 {
        ada.get("/apps").await.is(200);
        services.app.refuses().await;
        services.app.connects();
    }
}
