use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Clients as _, Process};
use crate::support::{LONG, SECRET, eventually, token};

/// Reads until `end` has come.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains(end) {
        let mut buffer = [0; 1024];
        let read = tokio::time::timeout(LONG, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert_ne!(read, 0, "closed after {}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8(text).unwrap()
}

/// A request whose handler waits for its body, of 18 bytes.
async fn slow_request(address: &str) -> TcpStream {
    let mut slow = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /apps HTTP/1.1\r\nhost: alm\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 18\r\nexpect: 100-continue\r\n\r\n",
        token(&alm_core::Principal::system())
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    read_until(&mut slow, "100 Continue\r\n\r\n").await;
    slow
}

#[tokio::test]
async fn a_request_that_runs_is_finished_before_the_server_stops() {
    for signal in ["TERM", "INT"] {
        let mut server = Process::serve(&[("JWT_SECRET", str::from_utf8(SECRET).unwrap())]);
        let address = server.logged("listening")["address"].as_str().unwrap().to_owned();
        let mut slow = slow_request(&address).await;
        let idle = TcpStream::connect(&address).await.unwrap();

        server.signal(signal);
        server.logged("shutting down");
        eventually("new connections are refused", async || {
            let refused = TcpStream::connect(&address).await;
            refused.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused).then_some(())
        })
        .await;

        slow.write_all(b"{\"name\":\"billing\"}").await.unwrap();
        let answer = read_until(&mut slow, "\"revision\":1}").await;
        assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
        assert_eq!(slow.read(&mut [0; 16]).await.unwrap(), 0, "the connection is closed");

        let ended = server.ended();
        assert_eq!(ended.status.code(), Some(0));
        let last: serde_json::Value = serde_json::from_str(ended.stdout.last().unwrap()).unwrap();
        assert_eq!(last["message"], "stopped");
        drop(idle);
    }
}

#[tokio::test]
async fn who_interrupts_a_server_that_stops_does_not_wait_for_it() {
    let mut server = Process::serve(&[("JWT_SECRET", str::from_utf8(SECRET).unwrap())]);
    let address = server.logged("listening")["address"].as_str().unwrap().to_owned();
    let _slow = slow_request(&address).await;

    server.signal("INT");
    server.logged("shutting down");
    // What comes at the same moment counts as one, so it is told more than once.
    eventually("it ends", async || {
        server.signal("INT");
        server.has_ended().then_some(())
    })
    .await;

    let ended = server.ended();
    assert_eq!(ended.status.code(), Some(130));
    assert!(ended.stdout.iter().any(|line| line.contains("what runs is given up")), "{:?}", ended.stdout);
}

#[tokio::test]
async fn a_stream_of_events_does_not_hold_up_the_end() {
    let mut server = Process::serve(&[("JWT_SECRET", str::from_utf8(SECRET).unwrap())]);
    let mut stream = server.client().with_token(token(&alm_core::Principal::system())).get("/events").follow().await;
    assert_eq!(stream.told(1).await, ["1 users/admin"]);

    server.signal("TERM");

    assert!(stream.next().await.is_none());
    // Whatever is still open after the grace would be dropped, and said to be.
    let ended = server.ended();
    assert_eq!(ended.status.code(), Some(0));
    assert!(!ended.stdout.iter().any(|line| line.contains("did not finish in time")));
}

#[test]
fn a_server_that_is_told_to_stop_at_once_stops_well() {
    let server = Process::serve(&[]);
    server.signal("TERM");
    assert_eq!(server.ended().status.code(), Some(0));
}
