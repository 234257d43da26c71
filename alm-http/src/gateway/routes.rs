//! Which service a path belongs to.

/// A service behind the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    App,
    Version,
    Deployment,
    Audit,
}

impl Service {
    pub(super) const ALL: [Self; 4] = [Self::App, Self::Version, Self::Deployment, Self::Audit];
}

/// All paths that begin with these segments; `{…}` stands for any one segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// What the route is called in logs and metrics, too.
    pub(super) prefix: &'static str,
    pub(super) service: Service,
}

/// The first that fits counts.
pub(super) const RULES: &[Rule] = &[
    Rule { prefix: "/apps/{id}/environments", service: Service::Deployment },
    Rule { prefix: "/apps", service: Service::App },
    Rule { prefix: "/users", service: Service::App },
    Rule { prefix: "/login", service: Service::App },
    Rule { prefix: "/logout", service: Service::App },
    Rule { prefix: "/token", service: Service::App },
    Rule { prefix: "/whoami", service: Service::App },
    Rule { prefix: "/api-keys", service: Service::App },
    Rule { prefix: "/versions", service: Service::Version },
    Rule { prefix: "/deployments", service: Service::Deployment },
    Rule { prefix: "/audit", service: Service::Audit },
    Rule { prefix: "/audits", service: Service::Audit },
];

/// Where a path leads, as it stands in the request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    To(Rule),
    /// To the event log, of which there is one in each service.
    EventLog,
    Nowhere,
}

/// Segments are compared byte for byte, as the services do. A path that something on the way could read as another, because of dots,
/// empty segments or backslashes, encoded or not, leads nowhere.
pub(super) fn way(path: &str) -> Way {
    let Some(segments) = path.strip_prefix('/') else { return Way::Nowhere };
    if !is_plain(segments) {
        return Way::Nowhere;
    }
    if is_below(segments, "/events") {
        return Way::EventLog;
    }
    RULES.iter().find(|rule| is_below(segments, rule.prefix)).map_or(Way::Nowhere, |rule| Way::To(*rule))
}

fn is_below(segments: &str, prefix: &str) -> bool {
    let mut given = segments.split('/');
    prefix.split('/').skip(1).all(|wanted| {
        given
            .next()
            .is_some_and(|segment| if wanted.starts_with('{') { !segment.is_empty() } else { segment == wanted })
    })
}

fn is_plain(segments: &str) -> bool {
    // Almost every path is.
    if !segments.contains(['%', '\\', '.']) && !segments.contains("//") && !segments.starts_with('/') {
        return true;
    }
    let decoded = decoded(segments.as_bytes());
    let mut parts = decoded.split(|byte| matches!(byte, b'/' | b'\\')).peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        if matches!(part, b"." | b"..") || (part.is_empty() && !is_last) || part.contains(&0) {
            return false;
        }
    }
    true
}

/// With each `%XX` as the byte that it stands for; what is none stays.
fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        let mut byte = *first;
        if let (b'%', [high, low, behind @ ..]) = (byte, after)
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            byte = high * 16 + low;
            rest = behind;
        }
        bytes.push(byte);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn service(path: &str) -> Option<Service> {
        match way(path) {
            Way::To(rule) => Some(rule.service),
            Way::EventLog | Way::Nowhere => None,
        }
    }

    #[test]
    fn each_path_of_the_contract_leads_to_its_service() {
        for (path, expected) in [
            ("/apps", Service::App),
            ("/apps/", Service::App),
            ("/apps/7", Service::App),
            ("/apps/7/environments", Service::Deployment),
            ("/apps/environments", Service::App),
            ("/users/a.b@c%2Bd", Service::App),
            ("/users/ada/password", Service::App),
            ("/login", Service::App),
            ("/token/refresh", Service::App),
            ("/api-keys/01890a5d-ac96-774b-bcce-b302099a8057/rotate", Service::App),
            ("/versions/1", Service::Version),
            ("/deployments", Service::Deployment),
            ("/audit/events/3", Service::Audit),
            ("/audits", Service::Audit),
        ] {
            assert_eq!(service(path), Some(expected), "{path}");
        }
        assert!(matches!(way("/events"), Way::EventLog));
    }

    #[test]
    fn what_could_be_read_as_another_path_leads_nowhere() {
        for path in [
            "",
            "*",
            "/",
            "//",
            "//apps",
            "/apps//",
            "/apps//1",
            "/appsx",
            "/app",
            "/Apps",
            "/%61pps",
            "/apps%2f1",
            "/apps/..",
            "/apps/.",
            "/apps/../users",
            "/apps/..;/../users/.",
            "/apps/%2e%2e/users",
            "/apps/%2E./users",
            "/apps/..%2fusers",
            "/apps/%2e%2e%5cusers",
            "/apps/..\\users",
            "/apps\\users",
            "/apps/1%00",
            "/apps/%2f%2fx",
            "/readyz2",
            "/metrics/x",
        ] {
            assert_eq!(service(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_that_leads_somewhere_can_climb_out(
            first in prop_oneof![Just("/apps"), Just("/users"), Just("/audit")],
            rest in proptest::collection::vec(prop_oneof![
                Just("/"), Just("."), Just("%2e"), Just("%2F"), Just("\\"), Just("%5c"), Just("%"), Just("a"), Just("%252e"),
            ], 0..8),
        ) {
            let path = format!("{first}{}", rest.concat());
            if service(&path).is_some() {
                let decoded = String::from_utf8_lossy(&decoded(path.as_bytes())).replace('\\', "/");
                prop_assert!(!decoded.contains("//"), "{}", decoded);
                prop_assert!(decoded.split('/').all(|segment| segment != "." && segment != ".."), "{}", decoded);
            }
        }
    }
}
