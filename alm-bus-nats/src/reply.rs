//! What the subject says that a delivery is acknowledged on:
//! `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<time>.<pending>`, with the domain and a hash of
//! the account before the stream in newer servers, and perhaps more behind.

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Its place in the stream.
    pub(crate) sequence: u64,
    /// How many there are to deliver behind it.
    pub(crate) pending: u64,
}

pub(crate) fn standing(reply: &str) -> Option<Standing> {
    let tokens: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
    let (sequence, pending) = match tokens.len() {
        7 => (tokens[3], tokens[6]),
        9.. => (tokens[5], tokens[8]),
        _ => return None,
    };
    Some(Standing { sequence: sequence.parse().ok()?, pending: pending.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let expected = Some(Standing { sequence: 42, pending: 7 });
        assert_eq!(standing("$JS.ACK.ALM.reader.1.42.3.1700000000.7"), expected);
        assert_eq!(standing("$JS.ACK._.HASH.ALM.reader.1.42.3.1700000000.7"), expected);
        assert_eq!(standing("$JS.ACK._.HASH.ALM.reader.1.42.3.1700000000.7.token"), expected);
        for other in ["", "$JS.ACK.a.b", "_INBOX.x", "$JS.ACK.ALM.reader.1.x.3.1700000000.7"] {
            assert_eq!(standing(other), None);
        }
    }
}
