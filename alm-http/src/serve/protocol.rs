//! What a client speaks.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::socket::Rewound;

/// How every connection of HTTP/2 begins (RFC 9113, section 3.4). Nothing of HTTP/1 does.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Reads as much as it takes to know. It may wait for ever.
pub(super) async fn detect<I: AsyncRead + Unpin>(mut io: I) -> io::Result<(Rewound<I>, Protocol)> {
    let mut begun = [0; PREFACE.len()];
    let mut length = 0;
    let protocol = loop {
        let read = io.read(&mut begun[length..]).await?;
        length += read;
        if read == 0 || begun[..length] != PREFACE[..length] {
            break Protocol::Http1;
        }
        if length == PREFACE.len() {
            break Protocol::Http2;
        }
    };
    Ok((Rewound::new(Bytes::copy_from_slice(&begun[..length]), io), protocol))
}
