//! Bodies of any size and of any duration.

use std::time::Duration;

use axum::{Router, body::Body, routing::post};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
    time::timeout,
};

use crate::support::LONG;

use super::given::{Front, Puppet, at};

const GET: &str = "GET /apps HTTP/1.1\r\nhost: alm\r\n\r\n";
const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

fn chunk(text: &str) -> String {
    format!("{:X}\r\n{text}\r\n", text.len())
}

/// A service that sends back what it gets.
async fn an_echo(tasks: &mut JoinSet<()>) -> alm_http::upstream::BaseUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let echo = Router::new().route("/apps", post(async |body: Body| body));
    tasks.spawn(async move { axum::serve(listener, echo).await.unwrap() });
    at(address)
}

#[tokio::test]
async fn a_body_goes_through_while_it_comes() {
    let mut tasks = JoinSet::new();
    let front = Front::of_one(an_echo(&mut tasks).await).await;
    let mut client = front.send("POST /apps HTTP/1.1\r\nhost: alm\r\ntransfer-encoding: chunked\r\n\r\n").await;
    // Each part is back before the next is sent.
    for part in ["the first", "the second", "the third"] {
        client.write(chunk(part)).await;
        client.until(&chunk(part)).await;
    }
    client.write("0\r\n\r\n").await;
    client.until("0\r\n\r\n").await;
}

#[tokio::test]
async fn a_body_of_any_size_goes_through() {
    let mut tasks = JoinSet::new();
    let front = Front::of_one(an_echo(&mut tasks).await).await;
    let (piece, pieces) = (vec![b'x'; 64 * 1024], 1024);
    let length = piece.len() * pieces;
    let request = format!("POST /apps HTTP/1.1\r\nhost: alm\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    let client = front.send(request).await;
    let (mut reading, mut writing) = client.stream.into_split();
    let sending = async {
        for _ in 0..pieces {
            writing.write_all(&piece).await.unwrap();
        }
    };
    let receiving = async {
        let (mut buffer, mut received) = (vec![0; 64 * 1024], 0);
        loop {
            match timeout(LONG, reading.read(&mut buffer)).await.unwrap().unwrap() {
                0 => return received,
                count => received += buffer[..count].iter().map(|byte| usize::from(*byte == b'x')).sum::<usize>(),
            }
        }
    };
    let ((), received) = tokio::join!(sending, receiving);
    // There may be an x in the header.
    assert!((length..length + 10).contains(&received), "{received} of {length}");
}

#[tokio::test]
async fn an_event_comes_through_at_once_and_a_stream_may_pause() {
    let puppet = Puppet::new().await;
    let front = Front::of_one(puppet.url()).await;
    let mut client = front.send(GET).await;
    let (mut service, _) = puppet.request().await;
    service.write(STREAM).await;
    let head = client.head().await;
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    service.write(chunk("data: 1\n\n")).await;
    client.until("data: 1\n\n").await;
    // Longer than the body of another answer may pause: nothing comes, and nothing ends.
    let quiet = timeout(Duration::from_millis(600), client.until("data: 2\n\n")).await;
    assert!(quiet.is_err());
    service.write(chunk("data: 2\n\n")).await;
    client.until("data: 2\n\n").await;
    service.write("0\r\n\r\n").await;
    client.until("0\r\n\r\n").await;
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_request_to_the_service() {
    let puppet = Puppet::new().await;
    let front = Front::of_one(puppet.url()).await;
    // While it waits for the answer, and in the middle of one.
    let client = front.send(GET).await;
    let (mut service, _) = puppet.request().await;
    drop(client);
    timeout(Duration::from_millis(250), service.is_closed()).await.expect("sooner than by the deadline of the answer");

    let mut client = front.send(GET).await;
    let (mut service, _) = puppet.request().await;
    service.write(STREAM).await;
    client.head().await;
    drop(client);
    timeout(LONG, service.is_closed()).await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_of_its_request_ends_it_too() {
    let puppet = Puppet::new().await;
    let front = Front::of_one(puppet.url()).await;
    let client = front.send("POST /apps HTTP/1.1\r\nhost: alm\r\ncontent-length: 9\r\n\r\nhalf").await;
    let (mut service, _) = puppet.request().await;
    service.until("half").await;
    drop(client);
    timeout(LONG, service.is_closed()).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    for (answer, shown) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", "half"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", "half"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nnonsense", "half"),
        (&format!("{STREAM}{}", chunk("data: 1\n\n")), "data: 1\n\n"),
    ] {
        let puppet = Puppet::new().await;
        let front = Front::of_one(puppet.url()).await;
        let mut client = front.send(GET).await;
        let (mut service, _) = puppet.request().await;
        service.write(answer).await;
        client.until(shown).await;
        drop(service);
        let rest = client.rest().await;
        assert!(!rest.contains("0\r\n\r\n"), "{answer}: {rest}");
    }
}

#[tokio::test]
async fn an_answer_that_pauses_for_too_long_breaks_off() {
    let puppet = Puppet::new().await;
    let front = Front::of_one(puppet.url()).await;
    let mut client = front.send(GET).await;
    let (mut service, _) = puppet.request().await;
    service.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
    client.until("half").await;
    assert_eq!(client.rest().await, "");
    timeout(LONG, service.is_closed()).await.unwrap();
}

#[tokio::test]
async fn an_upload_may_take_longer_than_an_answer() {
    let puppet = Puppet::new().await;
    let front = Front::of_one(puppet.url()).await;
    let mut client = front.send("POST /apps HTTP/1.1\r\nhost: alm\r\ncontent-length: 8\r\n\r\n").await;
    let (mut service, _) = puppet.request().await;
    // Each pause is shorter than the 300 ms that an answer may take, and all together are longer.
    for byte in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let pause = timeout(Duration::from_millis(100), client.until("\r\n")).await;
        assert!(pause.is_err(), "no answer yet");
        client.write(byte).await;
        service.until(byte).await;
    }
    service.write("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert!(client.head().await.starts_with("http/1.1 204"));
}

#[tokio::test]
async fn a_stream_ends_when_the_gateway_shuts_down() {
    let puppet = Puppet::new().await;
    let front = Front::of_one(puppet.url()).await;
    let mut client = front.send(GET).await;
    let (mut service, _) = puppet.request().await;
    service.write(STREAM).await;
    client.head().await;
    front.readiness.shut_down();
    client.until("0\r\n\r\n").await;
    timeout(LONG, service.is_closed()).await.unwrap();
}
