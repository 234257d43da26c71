//! How `Forwarded` (RFC 7239) is written.

use std::net::IpAddr;

/// For whom each element of a list says that a request is, the first element first; nothing, if it is no list of pairs `token=value`
/// (section 4).
pub(crate) fn nodes(list: &str) -> Option<Vec<Option<String>>> {
    let mut rest = list.as_bytes();
    let (mut nodes, mut node) = (Vec::new(), None);
    loop {
        let (name, value, after) = pair(rest.trim_ascii_start())?;
        if name.eq_ignore_ascii_case(b"for") {
            // Each parameter once: else it could be read in two ways.
            if node.is_some() {
                return None;
            }
            node = Some(value);
        }
        rest = after.trim_ascii_start();
        match rest.split_first() {
            Some((b';', after)) => rest = after,
            Some((b',', after)) => {
                nodes.push(node.take());
                rest = after;
            }
            Some(_) => return None,
            None => {
                nodes.push(node);
                return Some(nodes);
            }
        }
    }
}

/// Name and value of the pair at the beginning of `text`, and what follows it.
fn pair(text: &[u8]) -> Option<(&[u8], String, &[u8])> {
    let (name, rest) = token(text)?;
    let rest = rest.strip_prefix(b"=")?;
    let Some(mut quoted) = rest.strip_prefix(b"\"") else {
        let (value, rest) = token(rest)?;
        return Some((name, String::from_utf8_lossy(value).into_owned(), rest));
    };
    let mut value = Vec::new();
    loop {
        quoted = match quoted {
            [b'"', rest @ ..] => return Some((name, String::from_utf8_lossy(&value).into_owned(), rest)),
            [b'\\', byte, rest @ ..] | [byte, rest @ ..] => {
                value.push(*byte);
                rest
            }
            [] => return None,
        }
    }
}

/// The token at the beginning of `text`, and what follows it.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| !is_token(*byte)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// RFC 9110, section 5.6.2.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The address of a node, with a port or without (section 6). Others are hidden or not known.
pub(crate) fn address(node: &str) -> Option<IpAddr> {
    let (host, port) = if let Some(v6) = node.strip_prefix('[') {
        let (host, port) = v6.split_once(']')?;
        (IpAddr::V6(host.parse().ok()?), port)
    } else {
        let end = node.find(':').unwrap_or(node.len());
        (IpAddr::V4(node[..end].parse().ok()?), &node[end..])
    };
    let is_port =
        |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then(|| host.to_canonical())
}

/// An address as a node.
pub(crate) fn node(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        // Section 6: in brackets, and because of the colons in quotes.
        IpAddr::V6(address) => format!("\"[{address}]\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_element_says_for_whom_the_request_is() {
        for (list, expected) in [
            ("for=192.0.2.43", vec![Some("192.0.2.43")]),
            (
                "For=\"[2001:db8::17]:4711\" ; proto=https,for=unknown",
                vec![Some("[2001:db8::17]:4711"), Some("unknown")],
            ),
            ("by=a, host=b;for=_c", vec![None, Some("_c")]),
            ("for=\"a, for=\\\"b\"", vec![Some("a, for=\"b")]),
        ] {
            let nodes = nodes(list).unwrap();
            assert_eq!(nodes.iter().map(Option::as_deref).collect::<Vec<_>>(), expected, "{list}");
        }
        for list in
            ["", "for", "for=", "for=\"a", "for=a b", "for=a;", ",for=a", "for=a,", "=a", "for=\"a\\", "for=a;for=b"]
        {
            assert_eq!(nodes(list), None, "{list}");
        }
    }

    #[test]
    fn a_node_has_an_address_or_hides_it() {
        for (node, expected) in [
            ("192.0.2.43", Some("192.0.2.43")),
            ("192.0.2.43:47011", Some("192.0.2.43")),
            ("192.0.2.43:_port", Some("192.0.2.43")),
            ("[2001:db8::17]", Some("2001:db8::17")),
            ("[2001:db8::17]:4711", Some("2001:db8::17")),
            ("[::ffff:192.0.2.1]", Some("192.0.2.1")),
            ("unknown", None),
            ("_hidden", None),
            ("2001:db8::17", None),
            ("[192.0.2.1]", None),
            ("192.0.2.43:", None),
            ("[2001:db8::17]4711", None),
            ("192.0.2.043", None),
            ("192.0.2.43 ", None),
            ("", None),
        ] {
            assert_eq!(address(node), expected.map(|text| text.parse().unwrap()), "{node}");
        }
    }
}
