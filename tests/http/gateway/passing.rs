//! What reaches the services, and what comes back, byte by byte.

use alm_core::{ports::Rate, services::LoginLimits};
use alm_http::{Api, gateway::Gateway};
use serde_json::json;

use crate::support::{LONG, Setup};

use super::given::{Front, Puppet, at, everything_at};

const EMPTY: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// What a service sees of a request, and the answer to it.
async fn passed(request: &str, answer: &str) -> (String, String) {
    let puppet = Puppet::new().await;
    let front = Front::of_one(puppet.url()).await;
    let mut client = front.send(request).await;
    let (seen, answered) = tokio::join!(puppet.answers(answer), client.head());
    (seen, answered)
}

#[tokio::test]
async fn a_path_and_its_query_pass_byte_for_byte() {
    for path in
        ["/apps/%41%62?label=a%3Db&label=%c3%a4+x", "/users/a.b@c%2Bd", "/apps/?", "/versions?after=../../x&&=%"]
    {
        let (seen, _) = passed(&format!("GET {path} HTTP/1.1\r\nhost: alm\r\n\r\n"), EMPTY).await;
        assert!(seen.starts_with(&format!("get {} http/1.1\r\n", path.to_lowercase())), "{seen}");
    }
}

#[tokio::test]
async fn what_could_be_read_as_another_path_reaches_no_service() {
    let puppet = Puppet::new().await;
    let front = Front::of_one(puppet.url()).await;
    for path in [
        "/apps/../users",
        "//apps",
        "/apps//1",
        "/apps/%2e%2e/users",
        "/%2e%2e/apps",
        "/apps/..%2fusers",
        "/apps%2f1",
        "/apps/..%5cusers",
        "/./apps",
        "/apps/.",
        "/apps/../1/overview",
        "/events/../apps",
        "*",
    ] {
        let answer =
            front.send(format!("GET {path} HTTP/1.1\r\nhost: alm\r\nconnection: close\r\n\r\n")).await.rest().await;
        assert!(answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
    }
    let answer =
        front.send("CONNECT apps:80 HTTP/1.1\r\nhost: apps:80\r\nconnection: close\r\n\r\n").await.rest().await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    // The puppet has seen none of them: the first connection to it is for this one.
    let mut client = front.send("GET /apps/last HTTP/1.1\r\nhost: alm\r\n\r\n").await;
    let (seen, _) = tokio::join!(puppet.answers(EMPTY), client.head());
    assert!(seen.starts_with("get /apps/last"), "{seen}");
}

#[tokio::test]
async fn the_service_learns_who_asked_and_under_which_id() {
    let puppet = Puppet::new().await;
    let front = Front::of_one(puppet.url()).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = format!(
        "GET /apps HTTP/1.1\r\nhost: alm.example:8000\r\nx-request-id: of-the-client\r\ntraceparent: {trace}\r\n\
         tracestate: a=b\r\nauthorization: Bearer t\r\naccept: text/event-stream\r\nlast-event-id: 7\r\n\
         forwarded: for=192.0.2.1\r\nx-forwarded-for: 192.0.2.1\r\n\r\n"
    );
    let mut client = front.send(request).await;
    let (seen, answered) = tokio::join!(puppet.answers(EMPTY), client.head());
    let of_the_service = puppet.url().to_string();
    for header in [
        &format!("host: {}", of_the_service.strip_prefix("http://").unwrap()),
        "x-request-id: of-the-client",
        "tracestate: a=b",
        "authorization: bearer t",
        "accept: text/event-stream",
        "last-event-id: 7",
        // Anyone can say that he is another.
        "forwarded: for=127.0.0.1;host=\"alm.example:8000\";proto=http",
        "via: 1.1 alm-gateway",
    ] {
        assert!(seen.contains(&format!("\r\n{header}\r\n")), "{header}: {seen}");
    }
    // The same trace, under the span of the gateway.
    assert!(seen.contains(&format!("\r\ntraceparent: {}", &trace[..36])) && !seen.contains(&trace[36..52]), "{seen}");
    assert_eq!(seen.matches("\r\nhost:").count(), 1);
    assert!(!seen.contains("192.0.2.1"), "{seen}");
    assert!(answered.contains("\r\nx-request-id: of-the-client\r\n"), "{answered}");
}

#[tokio::test]
async fn what_a_trusted_proxy_says_of_the_client_reaches_the_service() {
    let own = "for=127.0.0.1;host=alm;proto=http";
    for (said, expected) in [
        ("forwarded: for=6.6.6.6, for=192.0.2.1;proto=https", format!("for=6.6.6.6, for=192.0.2.1;proto=https, {own}")),
        ("x-forwarded-for: 6.6.6.6, 2001:db8::1", format!("for=6.6.6.6, for=\"[2001:db8::1]\", {own}")),
        ("forwarded: for=6.6.6.6\r\nx-forwarded-for: 192.0.2.1", own.to_owned()),
    ] {
        let puppet = Puppet::new().await;
        let gateway = Gateway::new(everything_at(&puppet.url())).trusted_proxies("127.0.0.0/8".parse().unwrap());
        let front = Front::serving(gateway, |router| router).await;
        let mut client =
            front.send(format!("GET /apps HTTP/1.1\r\nhost: alm\r\nconnection: close\r\n{said}\r\n\r\n")).await;
        let (seen, _) = tokio::join!(puppet.answers(EMPTY), client.head());
        assert!(seen.contains(&format!("\r\nforwarded: {expected}\r\n")), "{said}: {seen}");
        assert!(!seen.contains("x-forwarded-for"), "{seen}");
    }
}

#[tokio::test]
async fn who_guesses_passwords_is_counted_whatever_he_says_to_the_gateway() {
    let once = Rate { burst: 1.try_into().unwrap(), interval: 100 * LONG };
    let limits = LoginLimits::default().per_address(once);
    let api = |api: Api| api.trusted_proxies("127.0.0.1".parse().unwrap());
    let service = Setup::default().alm(move |alm| alm.login_limits(limits)).api(api).start().await;
    let front = Front::of_one(at(service.address)).await;
    let guess = json!({"username": "bob", "password": "guess"});
    for (said, status) in
        [("for=6.6.6.1", 401), ("for=6.6.6.2", 429), ("for=6.6.6.3, for=127.0.0.1", 429), ("for=\"", 429)]
    {
        let login = front.anyone().post("/login", &guess);
        login.header("forwarded", said).header("x-forwarded-for", "6.6.6.6").await.is(status);
    }
}

#[tokio::test]
async fn a_request_without_a_usable_id_gets_one_that_the_service_gets_too() {
    for given in ["", "x-request-id: two words\r\n"] {
        let (seen, answered) = passed(&format!("GET /apps HTTP/1.1\r\nhost: alm\r\n{given}\r\n"), EMPTY).await;
        let id = |head: &str| head.split("x-request-id: ").nth(1).unwrap().split("\r\n").next().unwrap().to_owned();
        assert_eq!(id(&seen), id(&answered));
        assert_eq!(id(&seen).len(), 36, "{seen}");
    }
}

#[tokio::test]
async fn headers_of_one_connection_pass_in_neither_direction() {
    let hop = "connection: close, x-named\r\nx-named: 1\r\nkeep-alive: timeout=5\r\nproxy-authenticate: Basic\r\n\
               proxy-authorization: Basic x\r\nproxy-connection: close\r\nte: trailers\r\ntrailer: x-t\r\nupgrade: websocket\r\n\
               x-kept: 1\r\n";
    let request = format!("GET /apps HTTP/1.1\r\nhost: alm\r\n{hop}\r\n");
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{hop}\r\n");
    let (seen, answered) = passed(&request, &answer).await;
    for head in [seen, answered] {
        assert!(head.contains("x-kept: 1"), "{head}");
        for name in ["x-named", "keep-alive", "proxy-", "te:", "trailer", "upgrade"] {
            assert!(!head.contains(&format!("\r\n{name}")), "{name}: {head}");
        }
        // The gateway closes what its client wants closed, and says so itself.
        assert!(!head.contains("connection: close, x-named"), "{head}");
    }
}

#[tokio::test]
async fn no_request_hides_in_another() {
    // Both lengths: the one of the chunks counts, and the service is told that one alone.
    let puppet = Puppet::new().await;
    let front = Front::of_one(puppet.url()).await;
    let request = "POST /apps HTTP/1.1\r\nhost: alm\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n0\r\n\r\n";
    let mut client = front.send(request).await;
    let service = async {
        let (mut connection, head) = puppet.request().await;
        let body = connection.until("0\r\n\r\n").await;
        connection.write(EMPTY).await;
        (head, body)
    };
    let ((head, body), answered) = tokio::join!(service, client.head());
    assert!(head.contains("transfer-encoding: chunked") && !head.contains("content-length"), "{head}");
    assert_eq!(body, "5\r\nhello\r\n0\r\n\r\n");
    assert!(answered.starts_with("http/1.1 204"), "{answered}");

    // What can be read in two ways is refused, and reaches no service.
    for lengths in [
        "content-length: 4\r\ncontent-length: 5\r\n",
        "content-length: +4\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding : chunked\r\n",
    ] {
        let request = format!("POST /apps HTTP/1.1\r\nhost: alm\r\n{lengths}\r\n0\r\n\r\n");
        let answer = front.send(request).await.rest().await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{lengths}: {answer}");
    }
}

#[tokio::test]
async fn an_answer_with_two_lengths_reaches_the_client_with_one() {
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let (_, answered) = passed("GET /apps HTTP/1.1\r\nhost: alm\r\n\r\n", answer).await;
    assert!(answered.contains("transfer-encoding: chunked") && !answered.contains("content-length"), "{answered}");
}

#[tokio::test]
async fn a_body_waits_until_the_service_wants_it() {
    let puppet = Puppet::new().await;
    let front = Front::of_one(puppet.url()).await;
    let head = "POST /apps HTTP/1.1\r\nhost: alm\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n";
    let mut client = front.send(head).await;
    let service = async {
        let (mut connection, _) = puppet.request().await;
        let body = connection.until("hello").await;
        connection.write(EMPTY).await;
        body
    };
    let asking = async {
        let go_on = client.head().await;
        assert!(go_on.starts_with("http/1.1 100"), "{go_on}");
        client.write("hello").await;
        client.head().await
    };
    let (_, answered) = tokio::join!(service, asking);
    assert!(answered.starts_with("http/1.1 204"), "{answered}");
}

#[tokio::test]
async fn a_body_that_no_service_wants_is_not_asked_for() {
    let front = Front::of_one(super::given::nowhere().await).await;
    let head = "POST /apps HTTP/1.1\r\nhost: alm\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n";
    let answered = front.send(head).await.head().await;
    assert!(answered.starts_with("http/1.1 503"), "{answered}");
}
