//! HTTP/2 as those speak it who mean harm. Each time the server goes on serving others.

use super::{
    frames::{
        ACK, CONTINUATION, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, PING, PREFACE, REFUSED_STREAM,
        RST_STREAM, SETTINGS, begin, frame, get, next, next_of, reset,
    },
    *,
};

async fn goes_on(server: &Server) {
    assert!(response(&mut server.send(GET).await).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_that_does_not_say_what_it_speaks_or_wants_is_cut_off() {
    let server = Server::start(plain(), patient().header_timeout(SHORT)).await;
    let settings = frame(SETTINGS, 0, 0, &[]);
    for begun in [&PREFACE[..1], &PREFACE[..23], PREFACE, &[PREFACE, &settings].concat()] {
        let mut client = server.connect().await;
        client.write_all(begun).await.unwrap();
        closed(client).await;
    }
    goes_on(&server).await;
}

#[tokio::test]
async fn pings_do_not_keep_an_idle_connection() {
    let server = Server::start(plain(), patient().header_timeout(SHORT)).await;
    let mut client = begin(&server).await;
    let ping = async {
        while client.write_all(&frame(PING, 0, 0, &[0; 8])).await.is_ok() && next(&mut client).await.is_some() {}
    };
    within(ping).await;
    goes_on(&server).await;
}

#[tokio::test]
async fn a_header_that_does_not_end_is_cut_off() {
    let server = Server::start(plain(), patient().header_timeout(SHORT)).await;
    let mut client = begin(&server).await;
    client.write_all(&frame(HEADERS, END_STREAM, 1, frames::GET)).await.unwrap();
    closed(client).await;
    goes_on(&server).await;
}

#[tokio::test]
async fn no_more_requests_run_at_a_time_than_may() {
    let (app, mut gate) = gated();
    let server = Server::start(app, patient().max_streams(2)).await;
    let mut client = begin(&server).await;
    // The limit counts for a client that has heard of it.
    next_of(&mut client, SETTINGS).await.unwrap();
    client.write_all(&[frame(SETTINGS, ACK, 0, &[]), get(1), get(3), get(5)].concat()).await.unwrap();
    let refused = next_of(&mut client, RST_STREAM).await.unwrap();
    assert_eq!((refused.stream, refused.error()), (5, REFUSED_STREAM));
    for _ in 0..2 {
        within(gate.started.recv()).await.unwrap();
    }
    assert!(gate.started.try_recv().is_err());
}

#[tokio::test]
async fn a_client_that_takes_back_what_it_asks_for_again_and_again_is_cut_off() {
    let (app, _gate) = gated();
    let server = Server::start(app.route("/done", axum::routing::get(async || "done")), patient()).await;
    let mut client = begin(&server).await;
    let flood: Vec<u8> = (0..1000).flat_map(|n| [get(2 * n + 1), reset(2 * n + 1)].concat()).collect();
    // It may have been cut off by then.
    let _ = client.write_all(&flood).await;
    let bye = next_of(&mut client, GOAWAY).await.expect("it says why");
    assert_eq!(bye.error(), ENHANCE_YOUR_CALM);
    closed(client).await;
    let mut other = server.send("GET /done HTTP/1.1\r\nhost: alm\r\n\r\n").await;
    response(&mut other).await;
}

#[tokio::test]
async fn also_when_each_was_begun() {
    let (app, mut gate) = gated();
    let server = Server::start(app, patient()).await;
    let mut client = begin(&server).await;
    let flood = async {
        for n in 0.. {
            if client.write_all(&get(2 * n + 1)).await.is_err() {
                break;
            }
            tokio::select! {
                _ = gate.started.recv() => {}
                // The server is not heard of any more.
                () = async { while next(&mut client).await.is_some() {} } => break,
            }
            let _ = client.write_all(&reset(2 * n + 1)).await;
            gate.ended.recv().await.unwrap();
        }
    };
    within(flood).await;
    assert_eq!(server.stop().await.dropped, 0);
}

#[tokio::test]
async fn a_header_in_endless_pieces_is_refused() {
    let server = Server::start(plain(), patient()).await;
    let mut client = begin(&server).await;
    client.write_all(&frame(HEADERS, END_STREAM, 1, frames::GET)).await.unwrap();
    let flood = async { while client.write_all(&frame(CONTINUATION, 0, 1, &[])).await.is_ok() {} };
    within(flood).await;
    goes_on(&server).await;
}

#[tokio::test]
async fn a_header_that_is_too_large_is_refused() {
    let server = Server::start(plain(), patient()).await;
    let mut client = begin(&server).await;
    // Each field is `x: xxx…`, literal and not to be remembered.
    let field: Vec<u8> = [b"\x00\x01x\x7f\x01".as_slice(), &[b'x'; 128]].concat();
    let fields = field.repeat(400);
    let mut sent = frame(HEADERS, END_STREAM, 1, frames::GET);
    for piece in fields.chunks(16 * 1024) {
        sent.extend(frame(CONTINUATION, 0, 1, piece));
    }
    sent.extend(frame(CONTINUATION, END_HEADERS, 1, &[]));
    let _ = client.write_all(&sent).await;
    let answer = next_of(&mut client, HEADERS).await.unwrap();
    assert_eq!(answer.payload[..5], *b"\x48\x83\x69\x90\xff", "431, by Huffman: {:?}", answer.payload);
    goes_on(&server).await;
}
