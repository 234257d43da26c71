//! `Location` and `Link` of answers: paths of a service become those of the gateway.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::upstream::BaseUrl;

/// Makes what leads to the service at `base` lead to the gateway, whose routes are below `prefix`. What leads elsewhere stays.
pub(super) fn lead_here(headers: &mut HeaderMap, base: &BaseUrl, prefix: &str) {
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        rewrite(headers, &name, |reference| here(reference, base, prefix));
    }
    rewrite(headers, &header::LINK, |links| Some(in_links(links, base, prefix)));
}

fn rewrite(headers: &mut HeaderMap, name: &HeaderName, change: impl Fn(&str) -> Option<String>) {
    if !headers.contains_key(name) {
        return;
    }
    let values: Vec<HeaderValue> = headers
        .get_all(name)
        .iter()
        .map(|value| {
            let changed = value.to_str().ok().and_then(&change);
            changed.and_then(|changed| HeaderValue::try_from(changed).ok()).unwrap_or_else(|| value.clone())
        })
        .collect();
    headers.remove(name);
    for value in values {
        headers.append(name, value);
    }
}

fn here(reference: &str, base: &BaseUrl, prefix: &str) -> Option<String> {
    base.within(reference).map(|path| format!("{prefix}{path}"))
}

/// Every `<…>` outside of quotes is a reference (RFC 8288, section 3).
fn in_links(links: &str, base: &BaseUrl, prefix: &str) -> String {
    let mut changed = String::with_capacity(links.len() + prefix.len());
    let mut rest = links;
    let mut quoted = false;
    while let Some(at) = rest.find(['"', '<', '\\']) {
        let (before, found) = rest.split_at(at);
        changed.push_str(before);
        let taken = match found.as_bytes()[0] {
            b'"' => {
                quoted = !quoted;
                1
            }
            // What is escaped is part of the text.
            b'\\' if quoted => 1 + found[1..].chars().next().map_or(0, char::len_utf8),
            b'<' if !quoted => match found.find('>') {
                Some(end) => {
                    let reference = &found[1..end];
                    let reference = here(reference, base, prefix).unwrap_or_else(|| reference.to_owned());
                    changed.push('<');
                    changed.push_str(&reference);
                    changed.push('>');
                    rest = &found[end + 1..];
                    continue;
                }
                None => 1,
            },
            _ => 1,
        };
        changed.push_str(&found[..taken]);
        rest = &found[taken..];
    }
    changed.push_str(rest);
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(name: &'static str, values: &[&str], base: &str, prefix: &str) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::try_from(*value).unwrap());
        }
        lead_here(&mut headers, &BaseUrl::parse(base).unwrap(), prefix);
        headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_location_leads_to_the_gateway() {
        for (base, prefix, given, leads) in [
            ("http://app:1", "", "/apps/1", "/apps/1"),
            ("http://app:1/alm", "", "/alm/apps/1", "/apps/1"),
            ("http://app:1/alm", "/gw", "http://app:1/alm/apps/1", "/gw/apps/1"),
            ("http://app:1", "/gw", "https://elsewhere/apps/1", "https://elsewhere/apps/1"),
            ("http://app:1/alm", "", "/other/apps/1", "/other/apps/1"),
        ] {
            assert_eq!(changed("location", &[given], base, prefix), [leads]);
        }
    }

    #[test]
    fn so_does_each_link() {
        let links = [
            "</alm/apps?a=1>; rel=\"next\"; title=\"a </alm/b> \\\" <c\", <http://app:1/alm/x>; rel=prev",
            "<//h/alm>",
        ];
        let lead = ["</gw/apps?a=1>; rel=\"next\"; title=\"a </alm/b> \\\" <c\", </gw/x>; rel=prev", "<//h/alm>"];
        assert_eq!(changed("link", &links, "http://app:1/alm", "/gw"), lead);
        for broken in ["<", "\"", "<a", "\\", "a\\", "\"\\", "><"] {
            assert_eq!(changed("link", &[broken], "http://app:1/alm", "/gw"), [broken]);
        }
    }
}
