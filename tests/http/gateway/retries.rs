//! What goes out again, and what does not.

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use super::given::{Front, Puppet, Services, at};

/// A service that is not there yet, and where it will be.
async fn late() -> (alm_http::upstream::BaseUrl, std::net::SocketAddr) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (at(address), address)
}

#[tokio::test]
async fn a_read_or_a_keyed_post_goes_out_again_when_there_was_no_connection() {
    // Up to two pauses of 0–50 and 0–100 ms: in one of several rounds the service is there before the last try.
    let body = "{\"name\": \"billing\"}";
    for (request, repeats) in [
        ("GET /apps HTTP/1.1\r\nhost: alm\r\nconnection: close\r\n\r\n".to_owned(), true),
        (
            format!(
                "POST /apps HTTP/1.1\r\nhost: alm\r\nconnection: close\r\nidempotency-key: k\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ),
            true,
        ),
        (
            format!(
                "POST /apps HTTP/1.1\r\nhost: alm\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ),
            false,
        ),
        ("DELETE /apps/1 HTTP/1.1\r\nhost: alm\r\nconnection: close\r\n\r\n".to_owned(), false),
    ] {
        let mut came = false;
        for _ in 0..20 {
            let (url, address) = late().await;
            let front = Front::of_one(url).await;
            let client = front.send(&request).await;
            let serving = async {
                // The first try fails at once; the service comes up when it surely has.
                tokio::time::sleep(Duration::from_millis(5)).await;
                let socket = tokio::net::TcpSocket::new_v4().unwrap();
                socket.set_reuseaddr(true).unwrap();
                socket.bind(address).unwrap();
                let listener = socket.listen(8).unwrap();
                let mut connection =
                    super::given::Raw::of(timeout(Duration::from_secs(2), listener.accept()).await.ok()?.unwrap().0);
                let head = connection.head().await;
                if head.contains("idempotency-key") {
                    assert_eq!(connection.until("}").await, body, "nothing of the body is lost");
                }
                connection.write("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
                Some(())
            };
            let answered = async { client.rest().await };
            tokio::select! {
                Some(()) = serving => came = true,
                answer = answered => came = answer.starts_with("HTTP/1.1 204"),
            }
            if came || !repeats {
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
