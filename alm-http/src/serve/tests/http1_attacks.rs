//! HTTP/1 as those write it who want it to be read in two ways, or without an end.

use axum::extract::DefaultBodyLimit;

use super::*;

/// Reads the whole body, and says how long it is; of a body that is broken it says so.
fn reading() -> Router {
    let read = async |body: Result<Bytes, BytesRejection>| match body {
        Ok(body) => (StatusCode::OK, format!("{} bytes", body.len())),
        Err(_) => (StatusCode::BAD_REQUEST, "broken".to_owned()),
    };
    Router::new().route("/", get(async || "done").post(read)).layer(DefaultBodyLimit::max(64 * 1024))
}

/// The statuses of all answers to what is sent, until the server closes the connection.
async fn statuses(server: &Server, sent: &str) -> Vec<u16> {
    let answers = rest(&mut server.send(sent).await).await;
    answers.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().unwrap()).collect()
}

/// What would be a second request, were the first read in another way.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nhost: alm\r\n\r\n";

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused_and_ends_the_connection() {
    let server = Server::start(reading(), patient()).await;
    for framing in [
        "content-length: 4\r\ncontent-length: 5",
        "content-length: 4, 5",
        "content-length: 4, 4",
        "content-length: +4",
        "content-length: -4",
        "content-length: 0x4",
        "content-length: ",
        "content-length: 18446744073709551616",
        "content-length : 4",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: identity, chunked",
        "transfer-encoding: identity",
        "transfer-encoding: xchunked",
        "transfer-encoding: \x0bchunked",
        "transfer-encoding : chunked",
        "transfer-encoding\t: chunked",
        " transfer-encoding: chunked",
        "x: y\r\n transfer-encoding: chunked",
        "x: y\r\n\ttransfer-encoding: chunked",
        "x: y\rtransfer-encoding: chunked",
        "x\r\ny: z",
        ": nameless",
        "x: \0",
    ] {
        let sent = format!("POST / HTTP/1.1\r\nhost: alm\r\n{framing}\r\n\r\n0\r\n\r\n{HIDDEN}");
        assert_eq!(statuses(&server, &sent).await, [400], "{framing:?}");
    }
    for start in [
        "POST / HTTP/1.1\r\n",
        "POST / HTTP/1.1\r\nhost: alm\r\nhost: evil\r\n",
        " POST / HTTP/1.1\r\nhost: alm\r\n",
        "POST  / HTTP/1.1\r\nhost: alm\r\n",
        "POST / HTTP/1.1 \r\nhost: alm\r\n",
        "POST / HTTP/1.2\r\nhost: alm\r\n",
        "POST /\r\nhost: alm\r\n",
        "POST /\0 HTTP/1.1\r\nhost: alm\r\n",
        "PO(ST / HTTP/1.1\r\nhost: alm\r\n",
    ] {
        let sent = format!("{start}content-length: 0\r\n\r\n{HIDDEN}");
        assert_eq!(statuses(&server, &sent).await, [400], "{start:?}");
    }
}

#[tokio::test]
async fn of_both_lengths_the_chunks_count_and_the_connection_ends() {
    let server = Server::start(reading(), patient()).await;
    let (length, chunked) = ("content-length: 48", "transfer-encoding: chunked");
    for [first, second] in [[length, chunked], [chunked, length]] {
        let sent = format!("POST / HTTP/1.1\r\nhost: alm\r\n{first}\r\n{second}\r\n\r\n0\r\n\r\n{HIDDEN}");
        let answers = rest(&mut server.send(&sent).await).await;
        assert!(answers.starts_with("HTTP/1.1 200") && answers.ends_with("\r\n\r\n0 bytes"), "{answers}");
    }
    let of_old = format!("POST / HTTP/1.0\r\nhost: alm\r\n{chunked}\r\n\r\n0\r\n\r\n{HIDDEN}");
    let answers = rest(&mut server.send(&of_old).await).await;
    assert!(answers.contains(" 400 Bad Request\r\n") && answers.matches("HTTP/1").count() == 1, "{answers}");
}

#[tokio::test]
async fn a_chunk_that_is_none_breaks_the_body_and_ends_the_connection() {
    let server = Server::start(reading(), patient()).await;
    for chunks in [
        "ffffffffffffffff1\r\n",
        "10000000000000000\r\n",
        "-1\r\n",
        "+1\r\nx\r\n",
        "0x1\r\nx\r\n",
        " 1\r\nx\r\n",
        "1\nx\r\n",
        "1\rx\r\n",
        "\r\n",
        "g\r\n",
        "1\r\nxx\r\n",
        "1;a\nx\r\n",
        "0\r\nx\r\n\r\n",
    ] {
        let sent =
            format!("POST / HTTP/1.1\r\nhost: alm\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n{HIDDEN}");
        assert_eq!(statuses(&server, &sent).await, [400], "{chunks:?}");
    }
}

/// Sends `again` after `head` until the server has had enough.
async fn floods(server: &Server, head: &str, again: &str) {
    let mut client = server.send(&format!("POST / HTTP/1.1\r\nhost: alm\r\n{head}")).await;
    let again = again.repeat(1024);
    let flood = async { while client.write_all(again.as_bytes()).await.is_ok() {} };
    timeout(LONG / 2, flood).await.unwrap_or_else(|_| panic!("{head:?} {:?} goes on for ever", &again[..8]));
}

#[tokio::test]
async fn nothing_comes_without_an_end() {
    let server = Server::start(reading(), patient()).await;
    for (head, again) in [
        ("", "x: y\r\n"),
        ("x: ", "y"),
        ("x: y\r\n", "y"),
        ("transfer-encoding: chunked\r\n\r\n1;", "x=y;"),
        ("transfer-encoding: chunked\r\n\r\n", "1;x=y\r\nz\r\n"),
        ("transfer-encoding: chunked\r\n\r\n0\r\n", "x: y\r\n"),
        ("transfer-encoding: chunked\r\n\r\n", "400\r\n"),
        ("transfer-encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
        ("content-length: 18446744073709551614\r\n\r\n", "x"),
    ] {
        floods(&server, head, again).await;
    }
    let mut client = server.connect().await;
    within(async { while client.write_all(&[b'x'; 1024]).await.is_ok() {} }).await;
    // Of a size that goes on and on nothing is kept, so only time bounds it.
    let hurried = Server::start(reading(), patient().body_timeout(SHORT)).await;
    for size in ["0", " "] {
        floods(&hurried, "transfer-encoding: chunked\r\n\r\n1", size).await;
    }
    assert!(response(&mut server.send(GET).await).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_request_has_so_many_headers() {
    let server = Server::start(reading(), patient()).await;
    for (headers, status) in [(99, 200), (100, 431)] {
        let headers = "x: y\r\n".repeat(headers);
        let sent = format!(
            "GET / HTTP/1.1\r\nhost: alm\r\n{headers}\r\nGET / HTTP/1.1\r\nhost: alm\r\nconnection: close\r\n\r\n"
        );
        assert_eq!(statuses(&server, &sent).await[0], status);
    }
}
