//! Raw input that breaks one rule, with the code of that rule; and the errors that say so.

use std::collections::BTreeMap;

use proptest::{collection, prelude::*, sample::select, strategy::Union};

use crate::domain::{FieldError, Invalid, NewApp, Rejected, Tag};

arbitrary! {
    Rejected => rejected();
    FieldError => field_error();
    Invalid => invalid();
}

const CONTROLS: [char; 6] = ['\0', '\t', '\n', '\u{1b}', '\u{7f}', '\u{85}'];
const SPACES: [char; 4] = [' ', '\u{a0}', '\u{2003}', '\u{3000}'];
const INVISIBLES: [char; 10] = [
    '\u{ad}',
    '\u{61c}',
    '\u{180e}',
    '\u{200b}',
    '\u{202e}',
    '\u{2060}',
    '\u{feff}',
    '\u{fff9}',
    '\u{e0000}',
    '\u{e007f}',
];

type Twin = (String, &'static str);

/// Each of the rules as often as the others.
fn rules(rules: impl IntoIterator<Item = BoxedStrategy<Twin>>) -> Union<BoxedStrategy<Twin>> {
    Union::new(rules)
}

fn code(text: impl Strategy<Value = String> + 'static, code: &'static str) -> BoxedStrategy<Twin> {
    text.prop_map(move |text| (text, code)).boxed()
}

fn empty() -> BoxedStrategy<Twin> {
    code(Just(String::new()), "empty")
}

/// One character too many, or many.
fn longer(max: usize, characters: &'static [char]) -> BoxedStrategy<Twin> {
    let length = prop_oneof![2 => Just(max + 1), 1 => max + 1..=2 * max];
    let text = (length, select(characters)).prop_map(|(length, character)| character.to_string().repeat(length));
    code(text, "too-long")
}

/// One byte too many in UTF-8, or many.
fn longer_in_bytes(max: usize) -> BoxedStrategy<Twin> {
    let texts = ["x".repeat(max + 1), "x".repeat(4 * max), "é".repeat(max / 2 + 1), "😀".repeat(max / 4 + 1)];
    code(select(texts.to_vec()), "too-long")
}

/// One of `bad` in a text that is right without it.
fn holding(bad: impl Into<Vec<char>>, rule: &'static str) -> BoxedStrategy<Twin> {
    let text = ("[a-z]{0,8}", select(bad.into()), "[a-z]{0,8}");
    code(text.prop_map(|(before, bad, after)| format!("{before}{bad}{after}")), rule)
}

/// What [`AppName`](crate::domain::AppName) refuses.
pub fn invalid_app_name() -> impl Strategy<Value = (String, &'static str)> {
    let inner = ("[a-z]{1,8}", select(&SPACES[..]), any::<bool>());
    let outer_space =
        inner.prop_map(|(name, space, first)| if first { format!("{space}{name}") } else { format!("{name}{space}") });
    rules([
        empty(),
        longer(128, &['x', 'é', '漢', '😀']),
        // Longer in characters only once it is normalized.
        code(Just("\u{958}".repeat(65)), "too-long"),
        holding(CONTROLS, "control-character"),
        code(outer_space, "surrounding-space"),
        code(select(&SPACES[..]).prop_map(String::from), "surrounding-space"),
    ])
}

/// What [`Tag`] refuses.
pub fn invalid_tag() -> impl Strategy<Value = (String, &'static str)> {
    let invisible = [&SPACES[..], &CONTROLS, &INVISIBLES].concat();
    rules([empty(), longer(128, &['1', 'é', '😀']), holding(invisible, "not-visible")])
}

/// What [`Description`](crate::domain::Description) refuses.
pub fn invalid_description() -> impl Strategy<Value = (String, &'static str)> {
    rules([longer_in_bytes(4 * 1024), holding(['\0'], "nul-character")])
}

/// What [`Changelog`](crate::domain::Changelog) refuses.
pub fn invalid_changelog() -> impl Strategy<Value = (String, &'static str)> {
    rules([longer_in_bytes(32 * 1024), holding(['\0'], "nul-character")])
}

/// What [`EnvironmentName`](crate::domain::EnvironmentName) refuses.
pub fn invalid_environment_name() -> impl Strategy<Value = (String, &'static str)> {
    let bad = ['A', 'Z', ' ', '/', '+', '@', '%', '\'', '\0', '\n', 'é', '😀', '\u{430}'];
    rules([empty(), longer(64, &['x', '-', 'é']), holding(bad, "invalid-character")])
}

/// What [`Username`](crate::domain::Username) refuses.
pub fn invalid_username() -> impl Strategy<Value = (String, &'static str)> {
    let first = ("[-_.@+]", "[a-z]{0,8}").prop_map(|(first, rest)| format!("{first}{rest}"));
    let bad = [' ', '/', ':', '%', '\'', '"', '\0', '\n', 'é', '😀', '\u{430}'];
    rules([
        empty(),
        longer(64, &['x', 'é']),
        holding(bad, "invalid-character"),
        code(first, "invalid-character"),
        code(select(&["system", "anonymous"][..]).prop_map(str::to_owned), "reserved-name"),
    ])
}

/// What [`ApiKeyName`](crate::domain::ApiKeyName) refuses.
pub fn invalid_api_key_name() -> impl Strategy<Value = (String, &'static str)> {
    invalid_username()
}

/// What [`Grant::parse`](crate::domain::Grant::parse) refuses.
pub fn invalid_grant() -> impl Strategy<Value = (String, &'static str)> {
    const CODE: &str = "not-a-grant";
    let app = select(&["", "0", "-1", "+1", "01", "x", "*", "1:2", "9223372036854775808", " 1", "**"][..]);
    let environment = select(&["", "Prod", "a/b", "a b", "é", "*"][..]);
    let other = select(&["", "Admin", "nobody", " admin", "admin:", "admin/1", ":7", "admin:7:8", "*"][..]);
    rules([
        code(("[a-z]{0,4}x", "[0-9]{1,3}").prop_map(|(role, app)| format!("{role}:{app}")), CODE),
        code(app.prop_map(|app| format!("deployer:{app}")), CODE),
        code(environment.prop_map(|environment| format!("deployer:7/{environment}")), CODE),
        code(other.prop_map(str::to_owned), CODE),
    ])
}

/// What [`Actor`](crate::domain::Actor) refuses.
pub fn invalid_actor() -> impl Strategy<Value = (String, &'static str)> {
    rules([empty(), longer(256, &['x', 'é', '😀']), holding(CONTROLS, "control-character")])
}

/// What [`Password::parse`](crate::domain::Password::parse) refuses.
pub fn invalid_password() -> impl Strategy<Value = (String, &'static str)> {
    let few = prop_oneof!["[ -~]{0,7}", Just("é".repeat(7)), Just("😀".repeat(7))];
    rules([code(few, "too-short"), longer_in_bytes(256)])
}

/// What [`Subject::parse`](crate::domain::Subject::parse) refuses.
pub fn invalid_subject() -> impl Strategy<Value = (String, &'static str)> {
    let number = select(&["", "0", "-1", "+1", "01", "1/2", "1 ", "x", "9223372036854775808"][..]);
    let numbered = (select(&["apps", "versions", "deployments"][..]), number)
        .prop_map(|(collection, number)| format!("{collection}/{number}"));
    let account = invalid_username().prop_map(|(name, _)| format!("users/{name}"));
    let other = select(&["", "/", "Apps", "app", "apps ", "audit/1", "events/1", "audit/"][..]).prop_map(str::to_owned);
    rules([numbered.boxed(), account.boxed(), other.boxed()].map(|text| code(text, "not-a-subject")))
}

/// What [`TraceParent`](crate::domain::TraceParent) refuses.
pub fn invalid_traceparent() -> impl Strategy<Value = (String, &'static str)> {
    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    // Every character counts: what stands there can neither be left out nor be another sign.
    let cut = (0..GOOD.len()).prop_map(|at| format!("{}{}", &GOOD[..at], &GOOD[at + 1..]));
    let changed = (0..GOOD.len(), select(&['G', 'g', ' ', '_'][..]))
        .prop_map(|(at, bad)| format!("{}{bad}{}", &GOOD[..at], &GOOD[at + 1..]));
    let other = select(vec![
        String::new(),
        GOOD.to_uppercase(),
        format!("{GOOD}-00"),
        format!("ff{}", &GOOD[2..]),
        format!("00-{}{}", "0".repeat(32), &GOOD[35..]),
        format!("{}{}-01", &GOOD[..36], "0".repeat(16)),
    ]);
    rules([cut.boxed(), changed.boxed(), other.boxed()].map(|text| code(text, "not-a-traceparent")))
}

/// What [`Timestamp::parse`](crate::domain::Timestamp::parse) refuses.
pub fn invalid_timestamp() -> impl Strategy<Value = (String, &'static str)> {
    let other = select(
        &[
            "",
            "now",
            "0",
            "2026-11-22",
            "2026-11-22T16:52:00",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "0000-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "10000-01-01T00:00:00Z",
            " 2026-11-22T16:52:00Z",
        ][..],
    );
    rules([code(other.prop_map(str::to_owned), "not-a-time"), code("[a-zA-Z:.+-]{1,32}", "not-a-time")])
}

/// What [`ConsumerName`](crate::changeset::ConsumerName) refuses.
pub fn invalid_consumer_name() -> impl Strategy<Value = (String, &'static str)> {
    const CODE: &str = "not-a-consumer-name";
    let bad = ['A', ' ', '.', '*', '>', '/', '\0', '\n', 'é', '😀'];
    rules([code(Just(String::new()), CODE), code("[a-z]{32,64}", CODE), holding(bad, CODE)])
}

/// What [`IdempotencyKey`](crate::changeset::IdempotencyKey) refuses.
pub fn invalid_idempotency_key() -> impl Strategy<Value = (String, &'static str)> {
    const CODE: &str = "invalid-idempotency-key";
    let bad = [' ', '\t', '\0', '\n', '\u{7f}', 'é', '😀'];
    let long = (256..300_usize).prop_map(|length| "k".repeat(length));
    rules([code(Just(String::new()), CODE), code(long, CODE), holding(bad, CODE)])
}

/// Pairs of which [`Labels`](crate::domain::Labels) refuse exactly one, or all for being too many.
pub fn invalid_labels() -> impl Strategy<Value = (BTreeMap<String, String>, &'static str)> {
    let key = rules([
        empty(),
        longer(63, &['k', 'é', '😀']),
        holding(['=', '\0', '\t', '\n', '\u{7f}', '\u{85}'], "invalid-character"),
    ]);
    let value = rules([longer(256, &['v', 'é', '😀']), holding(['\0'], "nul-character")]);
    let pair = prop_oneof![
        (key, "[a-z]{0,4}").prop_map(|((key, code), value)| (key, value, code)),
        ("[a-z]{1,4}", value).prop_map(|(key, (value, code))| (key, value, code)),
    ];
    // Keys of the pairs that are right have digits, so they do not meet the other.
    let right = collection::btree_map("[0-9]{1,4}", "[a-z]{0,4}", 0..4);
    let one_wrong = (right, pair).prop_map(|(mut pairs, (key, value, code))| {
        pairs.insert(key, value);
        (pairs, code)
    });
    let too_many =
        (65..100_usize).prop_map(|count| ((0..count).map(|i| (format!("k{i}"), String::new())).collect(), "too-many"));
    prop_oneof![6 => one_wrong, 1 => too_many]
}

/// Why a value was refused.
pub fn rejected() -> impl Strategy<Value = Rejected> {
    invalid_tag().prop_map(|(text, _)| Tag::parse(text).expect_err("an invalid tag"))
}

/// One field that was refused.
pub fn field_error() -> impl Strategy<Value = FieldError> {
    (rejected(), "(/[a-z]{1,8}){0,2}").prop_map(|(rejected, pointer)| rejected.at(pointer))
}

/// Input with one refused field or two.
pub fn invalid() -> impl Strategy<Value = Invalid> {
    (invalid_app_name(), prop_oneof![Just(String::new()), invalid_description().prop_map(|(text, _)| text)]).prop_map(
        |((name, _), description)| NewApp::parse(name, description, BTreeMap::new()).expect_err("an invalid name"),
    )
}
