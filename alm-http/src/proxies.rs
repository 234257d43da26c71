//! Who a request comes from, when it comes by way of proxies.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

use axum::http::{HeaderMap, HeaderName, header::FORWARDED};

use crate::forwarded::{address, nodes};

/// What came before RFC 7239, and is still what most proxies send.
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies that are believed when they say for whom they pass a request on: addresses and networks. By default none, as anyone can
/// send a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Arc<[Network]>);

/// The addresses whose first bits are these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

/// Why a text does not name proxies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no address, such as 10.0.0.7, and no network, such as 10.0.0.0/8 or fd00::/8")]
pub struct InvalidNetwork {
    text: String,
}

impl TrustedProxies {
    /// Whether this address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address.to_canonical()))
    }

    /// Whom a request is from that came over a connection from `peer`.
    ///
    /// It is `peer`, unless that is trusted. Then it is whom the proxies name, in `Forwarded` (RFC 7239) or in `X-Forwarded-For`: each has put
    /// the address that it saw behind what it was sent, so the last that is not trusted itself is the client, and what stands before it is
    /// the client's own say. If that can't be read, or is no address, it is `peer`; so it is when the two headers don't agree, as a proxy
    /// that knows but one passes on what a client says in the other.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.contains(peer) {
            return peer;
        }
        let named = |chain: Option<Chain>| chain.map(|chain| self.last_stranger(&chain));
        let client = match (named(by_forwarded(headers)), named(by_x_forwarded_for(headers))) {
            (Some(client), None) | (None, Some(client)) => client,
            (Some(one), Some(other)) if one == other => one,
            _ => None,
        };
        client.unwrap_or(peer)
    }

    /// The last that is not trusted, or the first if all are.
    fn last_stranger(&self, chain: &Chain) -> Option<IpAddr> {
        let mut named = None;
        for address in chain.iter().rev() {
            named = Some((*address)?);
            if !named.is_some_and(|address| self.contains(address)) {
                break;
            }
        }
        named
    }
}

/// The addresses that proxies have put one behind the other; none for what is no address, and none at all for what is no list.
pub(crate) type Chain = Vec<Option<IpAddr>>;

fn by_forwarded(headers: &HeaderMap) -> Option<Chain> {
    let list = headers.contains_key(FORWARDED).then(|| joined(headers, &FORWARDED))?;
    let nodes = list.and_then(|list| nodes(&list)).unwrap_or_default();
    Some(nodes.iter().map(|node| address(node.as_deref()?)).collect())
}

pub(crate) fn by_x_forwarded_for(headers: &HeaderMap) -> Option<Chain> {
    let list = headers.contains_key(X_FORWARDED_FOR).then(|| joined(headers, &X_FORWARDED_FOR))?.unwrap_or_default();
    // Some write an IPv6 address as it is.
    let plain = |node: &str| node.parse::<Ipv6Addr>().ok().map(|v6| IpAddr::V6(v6).to_canonical());
    Some(list.split(',').map(str::trim).map(|node| address(node).or_else(|| plain(node))).collect())
}

/// The value of a header that may come in several lines (RFC 9110, section 5.3).
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines: Option<Vec<_>> = headers.get_all(name).iter().map(|line| line.to_str().ok()).collect();
    Some(lines?.join(", "))
}

impl FromStr for TrustedProxies {
    type Err = InvalidNetwork;

    /// Reads addresses and networks in CIDR notation, separated by commas; none in an empty text.
    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let networks = text.split(',').map(str::trim).filter(|network| !network.is_empty());
        let parsed = networks.map(|text| Network::parse(text).ok_or_else(|| InvalidNetwork { text: text.to_owned() }));
        parsed.collect::<Result<_, _>>().map(Self)
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { Ipv4Addr::BITS } else { Ipv6Addr::BITS };
        let bits = match bits {
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
            None => longest,
        };
        (bits <= longest).then_some(Self { address, bits })
    }

    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differ = network.to_bits() ^ address.to_bits();
                differ.leading_zeros() >= self.bits
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differ = network.to_bits() ^ address.to_bits();
                differ.leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn proxies(text: &str) -> TrustedProxies {
        text.parse().unwrap()
    }

    fn client(trusted: &str, peer: &str, headers: &[(&HeaderName, &str)]) -> IpAddr {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::try_from(*value).unwrap());
        }
        proxies(trusted).client(ip(peer), &map)
    }

    #[test]
    fn networks_are_what_their_first_bits_say() {
        let trusted = proxies("10.1.2.3, 192.168.0.0/16,fd00::/8,::1");
        for inside in ["10.1.2.3", "::ffff:10.1.2.3", "192.168.255.1", "fd12::1", "::1"] {
            assert!(trusted.contains(ip(inside)), "{inside}");
        }
        for outside in ["10.1.2.4", "192.169.0.1", "fe80::1", "::2", "127.0.0.1", "0.0.0.1"] {
            assert!(!trusted.contains(ip(outside)), "{outside}");
        }
        assert!(proxies("0.0.0.0/0").contains(ip("203.0.113.9")) && !proxies("0.0.0.0/0").contains(ip("2001:db8::1")));
        assert!(!proxies("").contains(ip("127.0.0.1")));
        for wrong in
            ["localhost", "10.0.0.0/33", "fd00::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/+8", "*", "10.0.0.1:80"]
        {
            assert!(wrong.parse::<TrustedProxies>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_one_is_believed_but_who_is_trusted() {
        let says = [(&FORWARDED, "for=198.51.100.1"), (&X_FORWARDED_FOR, "198.51.100.1")];
        assert_eq!(client("", "192.0.2.1", &says), ip("192.0.2.1"));
        assert_eq!(client("10.0.0.0/8", "192.0.2.1", &says), ip("192.0.2.1"));
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &says), ip("198.51.100.1"));
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &says[1..]), ip("198.51.100.1"));
        assert_eq!(client("10.0.0.0/8", "::ffff:10.0.0.1", &says), ip("198.51.100.1"));
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[]), ip("10.0.0.1"));
    }

    #[test]
    fn the_last_that_is_not_trusted_is_the_client() {
        let of = |list| client("10.0.0.0/8", "10.0.0.1", &[(&FORWARDED, list)]);
        assert_eq!(of("for=6.6.6.6, for=192.0.2.1, for=10.0.0.2;proto=https"), ip("192.0.2.1"));
        assert_eq!(of("for=10.0.0.3, for=10.0.0.2"), ip("10.0.0.3"), "it came from inside");
        assert_eq!(of("for=6.6.6.6, for=\"[2001:db8::1]:80\""), ip("2001:db8::1"));
        let of = |list| client("10.0.0.0/8", "10.0.0.1", &[(&X_FORWARDED_FOR, list)]);
        assert_eq!(of("6.6.6.6, 192.0.2.1,10.0.0.2"), ip("192.0.2.1"));
        assert_eq!(of("6.6.6.6, 2001:db8::1"), ip("2001:db8::1"));
        assert_eq!(of("6.6.6.6, 192.0.2.1:4711"), ip("192.0.2.1"));
        let lines = [(&FORWARDED, "for=6.6.6.6"), (&FORWARDED, "for=192.0.2.1")];
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &lines), ip("192.0.2.1"));
    }

    #[test]
    fn what_cannot_be_read_is_the_peer() {
        for list in [
            "",
            "for",
            "for=unknown",
            "for=_hidden",
            "by=a",
            "for=\"192.0.2.1",
            "for=192.0.2.1, for=unknown, for=10.0.0.2",
        ] {
            assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[(&FORWARDED, list)]), ip("10.0.0.1"), "{list}");
        }
        for said in ["for=unknown", "for=6.6.6.6", "nonsense"] {
            let both = [(&FORWARDED, said), (&X_FORWARDED_FOR, "192.0.2.1")];
            assert_eq!(
                client("10.0.0.0/8", "10.0.0.1", &both),
                ip("10.0.0.1"),
                "one of them is not the proxy's: {said}"
            );
        }
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[(&X_FORWARDED_FOR, "192.0.2.1, nonsense")]), ip("10.0.0.1"));
    }

    fn what_a_client_may_send() -> impl Strategy<Value = Vec<(HeaderName, HeaderValue)>> {
        let name = prop_oneof![Just(FORWARDED), Just(X_FORWARDED_FOR)];
        let text = prop_oneof![
            "[ -~\\t\u{80}-\u{ff}]{0,40}",
            vec(
                prop_oneof![
                    Just("for="),
                    Just("\""),
                    Just("6.6.6.6"),
                    Just(","),
                    Just(";"),
                    Just("10.0.0.9"),
                    Just("\\"),
                    Just("["),
                    Just("]"),
                    Just(" "),
                    Just("unknown"),
                    Just("="),
                    Just("by"),
                ],
                0..12
            )
            .prop_map(|parts| parts.concat()),
        ];
        let garbage = (name, text.prop_filter_map("no header", |text| HeaderValue::try_from(text).ok()));
        let address = prop_oneof![Just("6.6.6.6"), Just("10.0.0.9"), Just("unknown")];
        let list = (vec(address, 1..4), any::<bool>()).prop_map(|(addresses, by_forwarded)| {
            let (name, before) = if by_forwarded { (FORWARDED, "for=") } else { (X_FORWARDED_FOR, "") };
            let elements: Vec<_> = addresses.iter().map(|address| format!("{before}{address}")).collect();
            (name, HeaderValue::try_from(elements.join(", ")).unwrap())
        });
        vec(prop_oneof![garbage, list], 0..4)
    }

    proptest! {
        #[test]
        fn whatever_is_sent_the_client_is_an_address_that_was_named_and_no_one_panics(sent in what_a_client_may_send()) {
            let headers: HeaderMap = sent.into_iter().fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            });
            let peer = ip("192.0.2.1");
            prop_assert_eq!(proxies("10.0.0.0/8").client(peer, &headers), peer, "it is not trusted");
            proxies("0.0.0.0/0").client(peer, &headers);
        }

        /// A proxy appends what it saw, in the line that is there or in one of its own, and can't be made to say anything else.
        #[test]
        fn no_one_behind_a_proxy_takes_the_address_of_another(
            sent in what_a_client_may_send(),
            own in prop_oneof![any::<Ipv4Addr>().prop_map(IpAddr::V4), any::<Ipv6Addr>().prop_map(IpAddr::V6)],
            by_line in any::<bool>(),
            by_forwarded in any::<bool>(),
        ) {
            let (trusted, proxy) = (proxies("10.0.0.0/8"), ip("10.0.0.1"));
            prop_assume!(!trusted.contains(own));
            let (name, element) = if by_forwarded {
                (FORWARDED, format!("for={};proto=http", crate::forwarded::node(own)))
            } else {
                (X_FORWARDED_FOR, own.to_string())
            };
            let mut headers = HeaderMap::new();
            for (given, value) in sent {
                headers.append(given, value);
            }
            let last = headers.get_all(&name).iter().next_back().cloned();
            match last {
                Some(last) if !by_line => {
                    let before: Vec<_> = headers.get_all(&name).iter().cloned().collect();
                    headers.remove(&name);
                    for value in &before[..before.len() - 1] {
                        headers.append(&name, value.clone());
                    }
                    let appended = [last.as_bytes(), b", ", element.as_bytes()].concat();
                    headers.append(&name, HeaderValue::from_bytes(&appended).unwrap());
                }
                _ => { headers.append(&name, HeaderValue::try_from(element).unwrap()); }
            }
            let client = trusted.client(proxy, &headers);
            prop_assert!(client == own.to_canonical() || client == proxy, "{} is neither {} nor the proxy: {:?}", client, own, headers);
        }
    }
}
