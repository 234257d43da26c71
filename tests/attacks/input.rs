//! Requests of someone who may, with what must not get in.

use crate::{
    given::{Answer, Attack, Request, a, attack, field, harmless, refused},
    target::{Setup, Target},
};

const NOT_JSON: Answer = refused(400, "not-json");
const NOT_FOUND: Answer = refused(404, "not-found");
const STALE: Answer = refused(412, "precondition-failed");
const BAD_CURSOR: Answer = refused(400, "invalid-cursor");
const BAD_PARAMETER: Answer = refused(400, "invalid-parameter");
const NO_PARAMETER: Answer = refused(400, "unknown-parameter");

fn app(body: impl Into<Vec<u8>>) -> Request {
    a("user", "POST /apps").json(body)
}

/// An app of this name, as it stands within quotes.
fn app_named(name: &str) -> Request {
    app(format!(r#"{{"name":"{name}"}}"#))
}

/// An app with these labels, as JSON.
fn app_labelled(labels: &str) -> Request {
    app(format!(r#"{{"name":"new","labels":{labels}}}"#))
}

/// A version of this tag, as it stands within quotes.
fn version(tag: &str) -> Request {
    a("user", "POST /versions").json(format!(r#"{{"app_id":1,"tag":"{tag}"}}"#))
}

/// A version of the app with this id, as JSON.
fn version_of(id: &str) -> Request {
    a("user", "POST /versions").json(format!(r#"{{"app_id":{id},"tag":"new"}}"#))
}

fn get(path: &str) -> Request {
    a("admin", format!("GET {path}"))
}

pub(crate) fn attacks() -> Vec<Attack> {
    [json(), texts(), numbers(), labels(), pages(), paths(), headers()].into_iter().flatten().collect()
}

#[rustfmt::skip]
fn json() -> Vec<Attack> {
    let nested = |open: &str, close: &str| open.repeat(10_000) + "1" + &close.repeat(10_000);
    let many = format!("{{{}\"name\":\"new\"}}", "\"name\":\"new\",".repeat(1000));
    vec![
        attack("10,000 arrays in one another", app(nested("[", "]")), field(": invalid-type")),
        attack("10,000 objects in one another", app(nested("{\"a\":", "}")), field("/a: unknown-field")),
        attack("10,000 arrays without an end", app("[".repeat(10_000)), NOT_JSON),
        attack("10,000 arrays as a name", app(format!("{{\"name\":{}}}", nested("[", "]"))), field("/name: invalid-type")),
        attack("10,000 arrays in a field that there is not", app(format!("{{\"x\":{}}}", nested("[", "]"))), field("/x: unknown-field")),
        attack("a name twice", app(r#"{"name":"a","name":"b"}"#), field("/name: duplicate-field")),
        attack("a name twice, once escaped", app(r#"{"name":"a","n\u0061me":"b"}"#), field("/name: duplicate-field")),
        attack("a name a thousand times", app(many), field("/name: duplicate-field")),
        attack("a field that there is not", app(r#"{"name":"new","id":7}"#), field("/id: unknown-field")),
        attack("the time of creation", app(r#"{"name":"new","created_at":"2000-01-01T00:00:00Z"}"#), field("/created_at: unknown-field")),
        attack("a revision", app(r#"{"name":"new","revision":9}"#), field("/revision: unknown-field")),
        attack("a prototype", app(r#"{"name":"new","__proto__":{"role":"admin"}}"#), field("/__proto__: unknown-field")),
        attack("a body that is empty", app(""), NOT_JSON),
        attack("a body of white space", app(" ".repeat(1000)), NOT_JSON),
        attack("a body with a comment", app("{\"name\":\"new\"/**/}"), NOT_JSON),
        attack("a body with a comma too many", app(r#"{"name":"new",}"#), NOT_JSON),
        attack("a body with a second one behind it", app(r#"{"name":"a"}{"name":"b"}"#), NOT_JSON),
        attack("a body with NUL behind it", app("{\"name\":\"a\"}\0"), NOT_JSON),
        attack("a body with a byte order mark", app("\u{feff}{\"name\":\"a\"}"), NOT_JSON),
        attack("a body in UTF-16", app([0xff, 0xfe, b'{', 0, b'}', 0]), NOT_JSON),
        attack("a body that is said to be in UTF-7", a("user", "POST /apps").body("application/json; charset=utf-7", "{}"), refused(415, "unsupported-media-type")),
        attack("a body in two media types", a("user", "POST /apps").header("content-type: text/plain").json("{}"), refused(415, "unsupported-media-type")),
        attack("a body as a form", a("user", "POST /apps").body("application/x-www-form-urlencoded", "name=new"), refused(415, "unsupported-media-type")),
        attack("a body as plain text, as a page of another origin can send", a("user", "POST /apps").body("text/plain", r#"{"name":"new"}"#), refused(415, "unsupported-media-type")),
        attack("NaN", app(r#"{"name":NaN}"#), NOT_JSON),
        attack("a body of more than 256 KiB", app(format!(r#"{{"name":"{}"}}"#, "x".repeat(300_000))), refused(413, "body-too-large")),
    ]
}

#[rustfmt::skip]
fn texts() -> Vec<Attack> {
    let control = field("/name: control-character");
    let invisible = field("/tag: not-visible");
    let changelog = format!(r#"{{"changelog":"{}"}}"#, "x".repeat(32 * 1024 + 1));
    vec![
        attack("bytes that are no UTF-8", app(b"{\"name\":\"\xff\xfe\"}".to_vec()), NOT_JSON),
        attack("UTF-8 that is longer than it must be", app(b"{\"name\":\"\xc0\xaf\"}".to_vec()), NOT_JSON),
        attack("half of a surrogate pair", app_named("\\ud800"), NOT_JSON),
        attack("a surrogate pair the wrong way around", app_named("\\udc00\\ud800"), NOT_JSON),
        attack("half of a surrogate pair in a field that there is not", app(r#"{"name":"new","x":"\ud800"}"#), field("/x: unknown-field")),
        attack("NUL in a name", app_named("a\\u0000b"), control),
        attack("a line break in a name", app_named("a\\r\\nb"), control),
        attack("a command for the terminal in a name", app_named("\\u001b[2J"), control),
        attack("a control character beyond ASCII in a name", app_named("a\\u0085b"), control),
        attack("a name of white space", app_named("\\u2003"), field("/name: surrounding-space")),
        attack("a name of 129 characters", app_named(&"é".repeat(129)), field("/name: too-long")),
        attack("a name that is taken", app_named("billing"), refused(409, "app-name-taken")),
        attack("NUL in a description", app(r#"{"name":"new","description":"\u0000"}"#), field("/description: nul-character")),
        attack("a description of more than 4 KiB", app(format!(r#"{{"name":"new","description":"{}"}}"#, "x".repeat(4097))), field("/description: too-long")),
        attack("a tag that reads from right to left", version("v1\\u202e"), invisible),
        attack("a tag with a zero-width space", version("v\\u200b1"), invisible),
        attack("a tag with a zero-width joiner", version("v\\u200d1"), invisible),
        attack("a tag with a soft hyphen", version("v\\u00ad1"), invisible),
        attack("a tag with a byte order mark", version("\\ufeffv1"), invisible),
        attack("a tag with hidden tag characters", version("v1\u{e0041}"), invisible),
        attack("a tag with a space", version("v 1"), invisible),
        attack("a tag that is taken", version("v1"), refused(409, "version-tag-taken")),
        attack("a changelog of more than 32 KiB", a("user", "PUT /versions/1").json(changelog), field("/changelog: too-long")),
        attack("an environment with a path in it", a("user", "POST /deployments").json(r#"{"version_id":1,"environment":"../prod"}"#), field("/environment: invalid-character")),
        attack("an environment in capitals", a("user", "POST /deployments").json(r#"{"version_id":1,"environment":"Prod"}"#), field("/environment: invalid-character")),
        attack("a status that there is not", a("user", "PUT /deployments/1").json(r#"{"status":"done"}"#), field("/status: invalid-type")),
        attack("a status that can't follow", a("user", "PUT /deployments/1").json(r#"{"status":"pending"}"#), refused(409, "illegal-transition")),
        attack("a name composed of parts", app_named("cafe\\u0301"), harmless(201, &["AppCreated"])),
        attack("the same name in one part", app_named("caf\\u00e9"), refused(409, "app-name-taken")),
        attack("the same name with the accent of another script", app_named("caf\\u0065\\u0341"), refused(409, "app-name-taken")),
    ]
}

#[rustfmt::skip]
fn numbers() -> Vec<Attack> {
    let no_id = field("/app_id: invalid-type");
    vec![
        attack("an id of 0", version_of("0"), field("/app_id: not-positive")),
        attack("an id of -1", version_of("-1"), field("/app_id: not-positive")),
        attack("an id of -0", version_of("-0"), field("/app_id: not-positive")),
        attack("an id beyond 64 bits", version_of("9223372036854775808"), no_id),
        attack("an id of 2 to the 64th and 1, which wraps around to 1", version_of("18446744073709551617"), no_id),
        attack("an id with a fraction", version_of("1.5"), no_id),
        attack("an id of 1e400", version_of("1e400"), NOT_JSON),
        attack("an id of a thousand digits", version_of(&"9".repeat(1000)), NOT_JSON),
        attack("an id in hexadecimal", version_of("0x1"), NOT_JSON),
        attack("an id with a zero before it", version_of("01"), NOT_JSON),
        attack("an id that is a text", version_of("\"1\""), no_id),
        attack("an id of an app that there is not", version_of("99"), refused(422, "unknown-parent")),
        attack("a deployment of a version that there is not", a("user", "POST /deployments").json(r#"{"version_id":99,"environment":"prod"}"#), refused(422, "unknown-parent")),
        attack("an API key for ever", a("admin", "POST /api-keys").json(r#"{"name":"x","role":"user","expires_in_days":9223372036854775807}"#), field("/expires_in_days: out-of-range")),
        attack("an API key that has expired before it is made", a("admin", "POST /api-keys").json(r#"{"name":"x","role":"user","expires_in_days":-1}"#), field("/expires_in_days: out-of-range")),
        attack("a grace for ever", a("admin", "POST /api-keys/{id of key ci}/rotate").json(r#"{"grace_seconds":9223372036854775807}"#), field("/grace_seconds: out-of-range")),
    ]
}

#[rustfmt::skip]
fn labels() -> Vec<Attack> {
    let many = |count: usize| {
        let pairs: Vec<_> = (0..count).map(|n| format!("\"k{n}\":\"v\"")).collect();
        format!("{{{}}}", pairs.join(","))
    };
    vec![
        attack("65 labels", app_labelled(&many(65)), field("/labels: too-many")),
        attack("5,000 labels", app_labelled(&many(5000)), field("/labels: too-many")),
        attack("a label without a key", app_labelled(r#"{"":"x"}"#), field("/labels/: empty")),
        attack("a label with a key of 64 characters", app_labelled(&format!(r#"{{"{}":"x"}}"#, "k".repeat(64))), field(KEY_TOO_LONG)),
        attack("a label with a value of 257 characters", app_labelled(&format!(r#"{{"a":"{}"}}"#, "x".repeat(257))), field("/labels/a: too-long")),
        attack("a label with an equals sign in its key", app_labelled(r#"{"a=b":"x"}"#), field("/labels/a=b: invalid-character")),
        attack("a label with NUL", app_labelled(r#"{"a":"\u0000"}"#), field("/labels/a: nul-character")),
        attack("a label that is a number", app_labelled(r#"{"a":1}"#), field("/labels/a: invalid-type")),
        attack("labels that are a list", app_labelled(r#"["a"]"#), field("/labels: invalid-type")),
    ]
}

const KEY_TOO_LONG: &str = "/labels/kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk: too-long";

#[rustfmt::skip]
fn pages() -> Vec<Attack> {
    let filters = format!("/apps?{}", vec!["label=a=b"; 65].join("&"));
    vec![
        attack("a page of 0", get("/apps?limit=0"), BAD_PARAMETER),
        attack("a page of -1", get("/apps?limit=-1"), BAD_PARAMETER),
        attack("a page of 201", get("/apps?limit=201"), BAD_PARAMETER),
        attack("a page of a thousand million", get("/apps?limit=1000000000"), BAD_PARAMETER),
        attack("a page beyond 64 bits", get("/apps?limit=18446744073709551617"), BAD_PARAMETER),
        attack("a page of SQL", get("/apps?limit=1;DROP%20TABLE%20alm_apps"), BAD_PARAMETER),
        attack("two sizes of a page", get("/apps?limit=1&limit=200"), refused(400, "repeated-parameter")),
        attack("a cursor that is a number", get("/apps?after=1"), BAD_CURSOR),
        attack("a cursor that is no base64", get("/apps?after=!!"), BAD_CURSOR),
        attack("a cursor of SQL", get("/apps?after=MSBPUiAxPTE"), BAD_CURSOR),
        attack("a cursor of a negative number", get("/apps?after=LTE"), BAD_CURSOR),
        attack("a cursor that is no UTF-8", get("/apps?after=__79"), BAD_CURSOR),
        attack("a cursor of the list of accounts in that of apps", get("/apps?after=MTcwMDAwMDAwMDAwMDAwMCBib2I"), BAD_CURSOR),
        attack("a cursor of the list of apps in that of accounts", get("/users?after=MQ"), BAD_CURSOR),
        attack("a cursor of the list of apps in that of API keys", get("/api-keys?after=MQ"), BAD_CURSOR),
        attack("a cursor of 8,000 characters", get(&format!("/apps?after={}", "A".repeat(8000))), BAD_CURSOR),
        attack("a parameter that there is not", get("/apps?order_by=id"), NO_PARAMETER),
        attack("a parameter of another list", get("/apps?environment=prod"), NO_PARAMETER),
        attack("a parameter in capitals", get("/apps?LIMIT=1"), NO_PARAMETER),
        attack("a parameter with a name of 8,000 characters", get(&format!("/apps?{}=1", "x".repeat(8000))), NO_PARAMETER),
        attack("65 filters by label", get(&filters), refused(400, "repeated-parameter")),
        attack("a filter by label without a value", get("/apps?label=a"), BAD_PARAMETER),
        attack("a filter by SQL", get("/apps?name=x'%20OR%20'1'='1"), harmless(200, &[])),
        attack("a filter by a pattern", get("/apps?name=%25"), harmless(200, &[])),
        attack("a filter by an app of -1", get("/versions?app_id=-1"), BAD_PARAMETER),
        attack("a filter by a time that is none", get("/audit/events?since=yesterday"), BAD_PARAMETER),
        attack("events after -1", get("/events?after=-1"), BAD_PARAMETER),
        attack("events after more than there can be", get("/events?after=99999999999999999999"), BAD_PARAMETER),
    ]
}

#[rustfmt::skip]
fn paths() -> Vec<Attack> {
    vec![
        attack("a path that leads up", get("/apps/../users"), NOT_FOUND),
        attack("a path that leads up, encoded", get("/apps/%2e%2e/users"), NOT_FOUND),
        attack("a path that leads up, slash encoded", get("/apps/..%2fusers"), NOT_FOUND),
        attack("a path that leads up, encoded twice", get("/apps/%252e%252e%252fusers"), NOT_FOUND),
        attack("a path that leads out", get("/../../../../etc/passwd"), NOT_FOUND),
        attack("a path that leads out of the page to try the API", get("/docs/../../../etc/passwd"), NOT_FOUND),
        attack("a path that leads out of it, encoded", get("/docs/%2e%2e%2f%2e%2e%2fetc%2fpasswd"), NOT_FOUND),
        attack("a path with a backslash", get("/apps\\..\\users"), NOT_FOUND),
        attack("a path with two slashes", get("//apps"), NOT_FOUND),
        attack("a path with a slash behind it", get("/apps/"), NOT_FOUND),
        attack("a path in capitals", get("/APPS"), NOT_FOUND),
        attack("a path with NUL", get("/apps/1%00"), NOT_FOUND),
        attack("a path with a parameter in it", get("/apps/1;admin=true"), NOT_FOUND),
        attack("a path with a suffix", get("/apps/1.json"), NOT_FOUND),
        attack("an app of 0", get("/apps/0"), NOT_FOUND),
        attack("an app of -1", get("/apps/-1"), NOT_FOUND),
        attack("an app of 01", get("/apps/01"), NOT_FOUND),
        attack("an app of +1", get("/apps/+1"), NOT_FOUND),
        attack("an app of 1 in other digits", get("/apps/%EF%BC%91"), NOT_FOUND),
        attack("an app beyond 64 bits", get("/apps/9223372036854775808"), NOT_FOUND),
        attack("an app of SQL", get("/apps/1%20OR%201=1"), NOT_FOUND),
        attack("an account that leads up", a("admin", "DELETE /users/.."), NOT_FOUND),
        attack("an account of SQL", a("admin", "DELETE /users/bob'--"), NOT_FOUND),
        attack("an API key in capitals", get("/api-keys/ABCDEFAB-0000-4000-8000-000000000000"), NOT_FOUND),
        attack("a tile that leads up", get("/audit/tile/0/../../events"), NOT_FOUND),
        attack("a tile of a level that there is not", get("/audit/tile/99/000"), NOT_FOUND),
        attack("another method on an app", a("admin", "PATCH /apps/1").json("{}"), refused(405, "method-not-allowed")),
        attack("a method that there is not", a("admin", "PWN /apps/1"), refused(405, "method-not-allowed")),
        attack("all apps deleted at once", a("admin", "DELETE /apps"), refused(405, "method-not-allowed")),
        attack("an entry of the audit log deleted", a("admin", "DELETE /audit/events/1"), refused(405, "method-not-allowed")),
        attack("an entry of the audit log changed", a("admin", "PUT /audit/events/1").json("{}"), refused(405, "method-not-allowed")),
        attack("an entry of the audit log made", a("admin", "POST /audit/events").json("{}"), refused(405, "method-not-allowed")),
        attack("an event made", a("admin", "POST /events").json("{}"), refused(405, "method-not-allowed")),
    ]
}

#[rustfmt::skip]
fn headers() -> Vec<Attack> {
    let renaming = |if_match: &str| a("user", "PUT /apps/1").json(r#"{"name":"new"}"#).header(format!("if-match: {if_match}"));
    let keyed = |key: &str| app_named("new").header(format!("idempotency-key: {key}"));
    let no_key = refused(400, "invalid-idempotency-key");
    let health = |header: &str| a("user", "GET /apps/1").header(header);
    vec![
        attack("a condition that is no tag", renaming("1"), STALE),
        attack("a condition that is weak", renaming("W/\"1\""), STALE),
        attack("a condition of another form of 1", renaming("\"01\""), STALE),
        attack("a condition without its last quote", renaming("\"1"), STALE),
        attack("a condition beyond 64 bits", renaming("\"18446744073709551617\""), STALE),
        attack("a condition that is empty", renaming(""), STALE),
        attack("a condition of SQL", renaming("\"1' OR '1'='1\""), STALE),
        attack("an idempotency key that is empty", keyed(""), no_key),
        attack("an idempotency key of 256 characters", keyed(&"x".repeat(256)), no_key),
        attack("an idempotency key with a space", keyed("a b"), no_key),
        attack("an idempotency key with a tab", keyed("a\tb"), no_key),
        attack("an idempotency key that is not ASCII", keyed("ключ"), no_key),
        attack("two idempotency keys", keyed("a").header("idempotency-key: b"), no_key),
        attack("a trace that is none", health("traceparent: garbage"), harmless(200, &[])),
        attack("a trace of a future version", health("traceparent: ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), harmless(200, &[])),
        attack("a request id with a space", health("x-request-id: a b"), harmless(200, &[])),
        attack("a request id of 64 characters of markup", health("x-request-id: <script>alert(1)</script>"), harmless(200, &[])),
        attack("a request id of 10,000 characters", health(&format!("x-request-id: {}", "x".repeat(10_000))), harmless(200, &[])),
        attack("a request id that is not ASCII", health("x-request-id: \u{202e}"), harmless(200, &[])),
        attack("a page of another origin asks", health("origin: https://evil.example").header("sec-fetch-site: cross-site"), harmless(200, &[])),
        attack("a host that is not ours, to be put in a link", a("user", "GET /apps?limit=1").header("x-forwarded-host: evil.example"), harmless(200, &[])),
        attack("ranges without an end", health(&format!("range: bytes={}", "0-,".repeat(1000))), harmless(200, &[])),
        attack("100,000 is expected", health("expect: 100000-continue"), harmless(200, &[])),
    ]
}

#[tokio::test]
async fn nothing_gets_in_that_must_not() {
    Target::start(Setup::default()).await.withstands(attacks()).await;
}
