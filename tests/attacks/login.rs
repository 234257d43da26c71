//! Log-ins that must not succeed, and how often one may try.

use std::time::Duration;

use alm_core::{ports::Rate, services::LoginLimits};

use crate::{
    given::{Answer, Attack, Request, WRONG, a, attack, field, no_one, refused, with_token},
    target::{PASSWORD, Setup, Target},
};

const NOT_JSON: Answer = refused(400, "not-json");
const BAD_NAME: Answer = field("/username: invalid-character");
const GUESSED: Answer = field("/password: easily-guessed");

/// Both as JSON.
fn login(username: &str, password: &str) -> Request {
    no_one("POST /login").json(format!(r#"{{"username":{username},"password":{password}}}"#))
}

/// The name as JSON.
fn account(username: &str, password: &str) -> Request {
    let body = format!(r#"{{"username":"{username}","password":"{password}","role":"user"}}"#);
    a("admin", "POST /users").json(body)
}

pub(crate) fn attacks() -> Vec<Attack> {
    [names(), passwords(), bodies(), weak_passwords(), reserved_names()].into_iter().flatten().collect()
}

#[rustfmt::skip]
fn names() -> Vec<Attack> {
    let right = format!("\"{PASSWORD}\"");
    let long = format!("\"{}\"", "a".repeat(65));
    vec![
        attack("a wrong password", login("\"bob\"", "\"guess\""), WRONG),
        attack("an account that there is not", login("\"nobody\"", &right), WRONG),
        attack("an account that is gone", login("\"carol\"", &right), WRONG),
        attack("the old password", login("\"eve\"", &right), WRONG),
        attack("the name in capitals", login("\"BOB\"", &right), WRONG),
        attack("SQL that is always true", login("\"bob' OR '1'='1\"", "\"x\""), BAD_NAME),
        attack("SQL that ends the statement", login("\"bob'; DROP TABLE alm_users; --\"", "\"x\""), BAD_NAME),
        attack("SQL as the password", login("\"bob\"", "\"' OR '1'='1\""), WRONG),
        attack("a query object as the name", login("{\"$gt\":\"\"}", &right), field("/username: invalid-type")),
        attack("a query object as the password", login("\"bob\"", "{\"$ne\":null}"), field("/password: invalid-type")),
        attack("a list of names", login("[\"bob\",\"amy\"]", &right), field("/username: invalid-type")),
        attack("a list of passwords", login("\"bob\"", "[\"a\",\"b\"]"), field("/password: invalid-type")),
        attack("a filter of LDAP", login("\"*)(uid=*\"", "\"x\""), BAD_NAME),
        attack("no name", login("\"\"", &right), field("/username: empty")),
        attack("a name of 65 characters", login(&long, &right), field("/username: too-long")),
        attack("a name with a letter that looks alike", login("\"b\u{43e}b\"", &right), BAD_NAME),
        attack("a name with a zero-width space", login("\"bob\u{200b}\"", &right), BAD_NAME),
        attack("a name with a space behind it", login("\"bob \"", &right), BAD_NAME),
        attack("a name with NUL", login("\"bob\\u0000\"", &right), BAD_NAME),
        attack("a name with a line break, to forge the log", login("\"bob\\nlogin ok\"", &right), BAD_NAME),
        attack("the name of ALM itself", login("\"system\"", &right), field("/username: reserved-name")),
        attack("the name of no one", login("\"anonymous\"", &right), field("/username: reserved-name")),
        attack("the name of an API key", login("\"key:ci\"", &right), BAD_NAME),
        attack("a name that is null", login("null", &right), field("/username: invalid-type")),
    ]
}

#[rustfmt::skip]
fn passwords() -> Vec<Attack> {
    let long = format!("\"{}\"", "x".repeat(257));
    let huge = format!("\"{}\"", "x".repeat(7000));
    vec![
        attack("no password", login("\"bob\"", "\"\""), WRONG),
        attack("a password of 257 bytes", login("\"bob\"", &long), field("/password: too-long")),
        attack("a password of 7,000 bytes", login("\"bob\"", &huge), field("/password: too-long")),
        attack("a password that is null", login("\"bob\"", "null"), field("/password: invalid-type")),
        attack("a password that is true", login("\"bob\"", "true"), field("/password: invalid-type")),
        attack("a password that is a number", login("\"bob\"", "0"), field("/password: invalid-type")),
        attack("the right password with NUL behind it", login("\"bob\"", &format!("\"{PASSWORD}\\u0000\"")), WRONG),
        attack("the right password with a space behind it", login("\"bob\"", &format!("\"{PASSWORD} \"")), WRONG),
        attack("the right password in capitals", login("\"bob\"", &format!("\"{}\"", PASSWORD.to_uppercase())), WRONG),
        attack("a refresh token as the password", login("\"bob\"", "\"{refresh token of a session}\""), WRONG),
    ]
}

#[rustfmt::skip]
fn bodies() -> Vec<Attack> {
    let right = format!(r#"{{"username":"bob","password":"{PASSWORD}""#);
    let large = format!("{right}}}{}", " ".repeat(8 * 1024));
    vec![
        attack("a log-in of more than 8 KiB", no_one("POST /login").json(large), refused(413, "body-too-large")),
        attack("a log-in that asks for a role", no_one("POST /login").json(format!(r#"{right},"role":"admin"}}"#)), field("/role: unknown-field")),
        attack("a log-in with two names", no_one("POST /login").json(format!(r#"{right},"username":"amy"}}"#)), field("/username: duplicate-field")),
        attack("a log-in with two passwords", no_one("POST /login").json(format!(r#"{right},"password":"x"}}"#)), field("/password: duplicate-field")),
        attack("a log-in as a form", no_one("POST /login").body("application/x-www-form-urlencoded", "username=bob&password=x"), refused(415, "unsupported-media-type")),
        attack("a log-in as XML with an entity", no_one("POST /login").body("application/xml", "<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><a>&e;</a>"), refused(415, "unsupported-media-type")),
        attack("a log-in in the query", no_one("POST /login?username=bob").json(format!("{right}}}")), refused(400, "unknown-parameter")),
        attack("a log-in by GET", no_one("GET /login"), refused(405, "method-not-allowed")),
        attack("a log-in that is a list", no_one("POST /login").json(format!(r#"["bob","{PASSWORD}"]"#)), field(": invalid-type")),
        attack("a log-in that is cut off", no_one("POST /login").json(right.clone()), NOT_JSON),
        attack("a log-in that is no UTF-8", no_one("POST /login").json(b"{\"username\":\"bob\",\"password\":\"\xff\"}".to_vec()), NOT_JSON),
        attack("a log-in with half of a surrogate pair", login("\"bob\"", "\"\\ud800\""), NOT_JSON),
        attack("a log-in under a key of 256 characters", login("\"bob\"", "\"x\"").header(format!("idempotency-key: {}", "x".repeat(256))), refused(400, "invalid-idempotency-key")),
        attack("a log-in under two keys", login("\"bob\"", "\"x\"").header("idempotency-key: a").header("idempotency-key: b"), refused(400, "invalid-idempotency-key")),
        attack("a wrong password under the key of a log-in that was right", login("\"bob\"", "\"guess\"").header("idempotency-key: key-of-bob"), WRONG),
        attack("a wrong password under the key of another's log-in", login("\"amy\"", "\"guess\"").header("idempotency-key: key-of-bob"), WRONG),
    ]
}

#[rustfmt::skip]
fn weak_passwords() -> Vec<Attack> {
    let own = |password: &str| {
        let body = format!(r#"{{"password":"{password}"}}"#);
        with_token("{token of a session}", "PUT /users/bob/password").json(body)
    };
    vec![
        attack("an account with the password 12345678", account("mal", "12345678"), GUESSED),
        attack("an account with a word and its digits exchanged", account("mal", "P@ssw0rd"), GUESSED),
        attack("an account with a row of keys", account("mal", "qwertyuiop"), GUESSED),
        attack("an account with one letter again and again", account("mal", &"x".repeat(256)), GUESSED),
        attack("an account with its own name as the password", account("mallory.smith", "mallory.smith"), GUESSED),
        attack("an account with a placeholder as the password", account("mal", "changeme"), GUESSED),
        attack("an account with a password of 7 characters", account("mal", "a9$kQ2z"), field("/password: too-short")),
        attack("an account with a password of 257 bytes", account("mal", &"xq".repeat(129)), field("/password: too-long")),
        attack("one's own password becomes a common one", own("password123"), GUESSED),
        attack("one's own password becomes empty", own(""), field("/password: too-short")),
    ]
}

#[rustfmt::skip]
fn reserved_names() -> Vec<Attack> {
    vec![
        attack("an account called system", account("system", PASSWORD), field("/username: reserved-name")),
        attack("an account called anonymous", account("anonymous", PASSWORD), field("/username: reserved-name")),
        attack("an account called like an API key", account("key:ci", PASSWORD), BAD_NAME),
        attack("an account called like a path", account("../admin", PASSWORD), BAD_NAME),
        attack("an account called like a header", account("a\\r\\nx: y", PASSWORD), BAD_NAME),
        attack("an account of a name that is taken", account("bob", PASSWORD), refused(409, "username-taken")),
    ]
}

#[tokio::test]
async fn no_one_logs_in_who_must_not() {
    Target::start(Setup::default()).await.withstands(attacks()).await;
}

/// Guesses one after the other, of which the server lets the first two through.
pub(crate) struct Guesses {
    pub(crate) name: &'static str,
    /// What is counted.
    counted: Counted,
    /// The account that the nth guess is at.
    account: fn(usize) -> String,
    /// A header of the nth guess, or nothing.
    header: fn(usize) -> String,
    /// The password of the last guess.
    last: &'static str,
    /// Whether the guesser comes by a proxy that the server trusts.
    by_proxy: bool,
}

enum Counted {
    Address,
    Account,
    Both,
}

use Counted::{Account, Address, Both};

const NOTHING: fn(usize) -> String = |_| String::new();
const BOB: fn(usize) -> String = |_| "bob".to_owned();
const GUESS: &str = "guess";

const fn direct(
    name: &'static str,
    counted: Counted,
    account: fn(usize) -> String,
    header: fn(usize) -> String,
    last: &'static str,
) -> Guesses {
    Guesses { name, counted, account, header, last, by_proxy: false }
}

const fn by_proxy(
    name: &'static str,
    counted: Counted,
    account: fn(usize) -> String,
    header: fn(usize) -> String,
    last: &'static str,
) -> Guesses {
    Guesses { by_proxy: true, ..direct(name, counted, account, header, last) }
}

/// Each ends with a third guess, which is refused: `429`, with no word of whether it was right.
#[rustfmt::skip]
pub(crate) const THROTTLED: &[Guesses] = &[
    direct("three guesses at an account", Both, BOB, NOTHING, GUESS),
    direct("two guesses, and then the right password", Both, BOB, NOTHING, PASSWORD),
    direct("three guesses at three accounts", Address, |n| format!("user-{n}"), NOTHING, GUESS),
    direct("three guesses at an account that there is not", Account, |_| "nobody".to_owned(), NOTHING, GUESS),
    direct("three guesses, each as if from another address (X-Forwarded-For)", Address, BOB, |n| format!("x-forwarded-for: 6.6.6.{n}"), GUESS),
    direct("three guesses, each as if from another address (Forwarded)", Address, BOB, |n| format!("forwarded: for=6.6.6.{n}"), GUESS),
    direct("three guesses, each as if from another address (X-Real-IP)", Address, BOB, |n| format!("x-real-ip: 6.6.6.{n}"), GUESS),
    by_proxy("three guesses by a proxy, with addresses made up before one's own", Address, BOB, |n| format!("x-forwarded-for: 6.6.6.{n}, 192.0.2.1"), GUESS),
    by_proxy("three guesses by a proxy, with two headers that do not agree", Address, BOB, |n| format!("x-forwarded-for: 192.0.2.1\r\nforwarded: for=6.6.6.{n}"), GUESS),
    by_proxy("three guesses by a proxy, with addresses that can not be read", Address, BOB, |n| format!("forwarded: for=_hidden{n}"), GUESS),
    by_proxy("three guesses by a proxy, from addresses of one network of IPv6", Address, BOB, |n| format!("x-forwarded-for: 2001:db8::{}", n + 1), GUESS),
    by_proxy("three guesses by a proxy, from three addresses, at one account", Account, BOB, |n| format!("x-forwarded-for: 192.0.2.{}", n + 1), GUESS),
    direct("three guesses, each under a key of its own", Both, BOB, |n| format!("idempotency-key: {n}"), GUESS),
    direct("three guesses, each with a request id of its own", Both, BOB, |n| format!("x-request-id: {n}"), GUESS),
];

fn limits(counted: &Counted) -> LoginLimits {
    let twice = Rate { burst: 2.try_into().unwrap(), interval: Duration::from_secs(10_000) };
    let limits = Setup::default().limits;
    match counted {
        Address => limits.per_address(twice),
        Account => limits.per_account(twice),
        Both => limits.per_account_and_address(twice),
    }
}

#[tokio::test]
async fn no_one_guesses_for_ever() {
    let mut failures = Vec::new();
    for Guesses { name, counted, account, header, last, by_proxy } in THROTTLED {
        let proxies = if *by_proxy { "127.0.0.1" } else { "" };
        let setup = Setup { limits: limits(counted), proxies: proxies.parse().unwrap(), ..Setup::default() };
        let target = Target::with_an_app_and_bob(setup).await;
        let guess = |n: usize, password: &str| {
            let request = login(&format!("\"{}\"", account(n)), &format!("\"{password}\""));
            match header(n) {
                none if none.is_empty() => request,
                header => request.header(header),
            }
        };
        let attacks = vec![
            attack(name, guess(0, GUESS), WRONG),
            attack(name, guess(1, GUESS), WRONG),
            attack(name, guess(2, last), refused(429, "too-many-logins")),
        ];
        failures.extend(target.failures(attacks).await);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
