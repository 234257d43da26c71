//! What the subject says that a delivery is acknowledged on:
//! `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<time>.<pending>`, with the domain and a hash of
//! the account before the stream in newer servers, and perhaps more behind.

/// The place of the delivery in the stream.
pub(crate) fn sequence_of(reply: &str) -> Option<u64> {
    let tokens: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
    let sequence = match tokens.len() {
        7 => tokens[3],
        9.. => tokens[5],
        _ => return None,
    };
    sequence.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        assert_eq!(sequence_of("$JS.ACK.ALM.reader.1.42.3.1700000000.7"), Some(42));
        assert_eq!(sequence_of("$JS.ACK._.HASH.ALM.reader.1.42.3.1700000000.7"), Some(42));
        assert_eq!(sequence_of("$JS.ACK._.HASH.ALM.reader.1.42.3.1700000000.7.token"), Some(42));
        for other in ["", "$JS.ACK.a.b", "_INBOX.x", "$JS.ACK.ALM.reader.1.x.3.1700000000.7"] {
            assert_eq!(sequence_of(other), None);
        }
    }
}
