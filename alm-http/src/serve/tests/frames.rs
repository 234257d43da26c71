//! HTTP/2 as it goes over the wire, for clients that no library would be.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Server, within};

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const ACK: u8 = 1;

pub(super) const REFUSED_STREAM: u32 = 7;
pub(super) const ENHANCE_YOUR_CALM: u32 = 11;

/// The header of `GET /` for `alm` (RFC 7541, without a change to the table).
pub(super) const GET: &[u8] = b"\x82\x86\x84\x01\x03alm";

pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    /// The code of a reset or a good-bye.
    pub(super) fn error(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A request that is nothing but its header.
pub(super) fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, GET)
}

pub(super) fn reset(stream: u32) -> Vec<u8> {
    const CANCEL: [u8; 4] = [0, 0, 0, 8];
    frame(RST_STREAM, 0, stream, &CANCEL)
}

/// A connection that has begun.
pub(super) async fn begin(server: &Server) -> TcpStream {
    let mut client = server.connect().await;
    client.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
    client
}

/// The next frame, unless the connection ends.
pub(super) async fn next(client: &mut TcpStream) -> Option<Frame> {
    within(async {
        let mut header = [0; 9];
        client.read_exact(&mut header).await?;
        let [a, b, c, kind, _, id @ ..] = header;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        client.read_exact(&mut payload).await?;
        Ok::<_, io::Error>(Frame { kind, stream: u32::from_be_bytes(id), payload })
    })
    .await
    .ok()
}

/// The next frame of this kind.
pub(super) async fn next_of(client: &mut TcpStream, kind: u8) -> Option<Frame> {
    loop {
        match next(client).await {
            Some(frame) if frame.kind != kind => {}
            frame => return frame,
        }
    }
}
