//! Texts with rules, labels, and JSON.

use std::collections::BTreeMap;

use proptest::{collection, prelude::*, sample::select};
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use crate::domain::{
    Actor, ApiKeyName, AppName, Changelog, Description, EnvironmentName, Labels, Password, PasswordHash, Subject, Tag,
    TraceParent, Username,
};

use super::{app_id, credential_id, deployment_id, version_id};

arbitrary! {
    AppName => app_name();
    Tag => tag();
    Description => description();
    Changelog => changelog();
    EnvironmentName => environment_name();
    Username => username();
    ApiKeyName => api_key_name();
    Actor => actor();
    Subject => subject();
    TraceParent => traceparent();
    Password => password();
    PasswordHash => password_hash();
    Labels => labels();
}

// Quotes and escapes of SQL, LIKE, JSON, URLs, CSV and shells, spaces, letters whose case or form is not what one thinks,
// combining marks, right to left, joiners, the ends of planes.
const SPECIAL: &[char] = &[
    '"',
    '\'',
    '\\',
    '%',
    '_',
    '/',
    '~',
    '=',
    '&',
    '<',
    '>',
    '{',
    '}',
    '$',
    ';',
    ',',
    ':',
    '?',
    '#',
    '*',
    '-',
    '.',
    '@',
    '+',
    '|',
    '`',
    '^',
    '[',
    ' ',
    '0',
    '9',
    'A',
    'Z',
    'é',
    'ß',
    'İ',
    'ı',
    'ς',
    'ﬁ',
    'Å',
    '\u{301}',
    '\u{308}',
    '\u{323}',
    'א',
    'ש',
    'ا',
    'م',
    '漢',
    '한',
    '\u{a0}',
    '\u{200d}',
    '\u{202e}',
    '\u{feff}',
    '\u{fffd}',
    '\u{ffff}',
    '😀',
    '𝒳',
    '\u{10ffff}',
];

fn character() -> impl Strategy<Value = char> {
    prop_oneof![6 => proptest::char::range('a', 'z'), 5 => select(SPECIAL), 2 => any::<char>()]
}

/// Texts over `alphabet`: mostly short, sometimes of one character, sometimes of `max`.
fn over(alphabet: impl Strategy<Value = char> + 'static, max: usize) -> impl Strategy<Value = String> {
    let alphabet = alphabet.boxed();
    prop_oneof![
        6 => collection::vec(alphabet.clone(), 1..=max.min(12)),
        1 => collection::vec(alphabet.clone(), 1),
        1 => collection::vec(alphabet, max),
    ]
    .prop_map(String::from_iter)
}

/// The text with another character for each that is not allowed, so that it stays as long as it is.
fn allowing(text: &str, allowed: impl Fn(char) -> bool) -> String {
    text.chars().map(|c| if allowed(c) { c } else { 'x' }).collect()
}

/// The name of an app.
pub fn app_name() -> impl Strategy<Value = AppName> {
    const MAX: usize = 128;
    over(character(), MAX).prop_map(|text| {
        // Normalization makes two or three of some characters and one of some pairs. What is cut from normal text is normal.
        let normal: String = allowing(&text, |c| !c.is_control()).nfc().take(MAX).collect();
        let mut name = normal.trim().to_owned();
        let missing = if text.chars().count() == MAX { MAX - name.chars().count() } else { 0 };
        name.extend(std::iter::repeat_n('x', missing));
        AppName::parse(name).or_else(|_| AppName::parse("a")).expect("a name")
    })
}

/// The tag of a version.
pub fn tag() -> impl Strategy<Value = Tag> {
    over(character(), 128)
        .prop_map(|text| Tag::parse(allowing(&text, |c| Tag::parse(c).is_ok())).expect("visible characters"))
}

/// Any text without NUL of at most `max` bytes, also none and one that is as long as it can be.
fn free(max: usize) -> impl Strategy<Value = String> {
    let short = over(character(), 64).prop_map(|text| allowing(&text, |c| c != '\0'));
    // All of one character: that it is long is what counts, and this is quick.
    let long = select(&['x', 'é', '漢', '😀', '\''][..]).prop_map(move |c| c.to_string().repeat(max / c.len_utf8()));
    prop_oneof![2 => Just(String::new()), 12 => short, 1 => long]
}

/// What an app is for.
pub fn description() -> impl Strategy<Value = Description> {
    free(4 * 1024).prop_map(|text| Description::parse(text).expect("short enough, without NUL"))
}

/// What changed in a version.
pub fn changelog() -> impl Strategy<Value = Changelog> {
    free(32 * 1024).prop_map(|text| Changelog::parse(text).expect("short enough, without NUL"))
}

fn chars_of(alphabet: &'static str) -> impl Strategy<Value = char> {
    select(alphabet.chars().collect::<Vec<_>>())
}

/// The name of an environment.
pub fn environment_name() -> impl Strategy<Value = EnvironmentName> {
    let alphabet = chars_of("abcdefghijklmnopqrstuvwxyz0123456789-_.");
    prop_oneof![1 => Just("prod".to_owned()), 4 => over(alphabet, 64)]
        .prop_map(|name| EnvironmentName::parse(name).expect("of the alphabet"))
}

/// The name of an account.
pub fn username() -> impl Strategy<Value = Username> {
    const FIRST: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    const REST: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@+";
    prop_oneof![1 => Just(String::new()), 8 => over(chars_of(REST), 63)]
        .prop_flat_map(|rest| chars_of(FIRST).prop_map(move |first| format!("{first}{rest}")))
        // The reserved names are of this alphabet.
        .prop_map(|name| Username::parse(name).unwrap_or_else(|_| Username::admin()))
}

/// The name of an API key.
pub fn api_key_name() -> impl Strategy<Value = ApiKeyName> {
    username().prop_map(|name| ApiKeyName::parse(name.into_string()).expect("their rule is the same"))
}

/// Who acted: ALM itself, no one known, an account, an API key, or whatever a token says.
pub fn actor() -> impl Strategy<Value = Actor> {
    let other = over(character(), 256)
        .prop_map(|text| Actor::parse(allowing(&text, |c| !c.is_control())).expect("no control characters"));
    prop_oneof![
        1 => Just(Actor::system()),
        1 => Just(Actor::anonymous()),
        2 => username().prop_map(|name| Actor::from(&name)),
        1 => api_key_name().prop_map(|name| Actor::from(&name)),
        4 => other,
    ]
    // It stands in much that is nested, and each of these would be as large as all of it.
    .boxed()
}

/// What an event or a request is about.
pub fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        Just(Subject::Apps),
        app_id().prop_map(Subject::App),
        Just(Subject::Versions),
        version_id().prop_map(Subject::Version),
        Just(Subject::Deployments),
        deployment_id().prop_map(Subject::Deployment),
        Just(Subject::Users),
        username().prop_map(Subject::User),
        Just(Subject::ApiKeys),
        credential_id().prop_map(Subject::ApiKey),
        Just(Subject::Audit),
        Just(Subject::Events),
    ]
}

/// A trace.
pub fn traceparent() -> impl Strategy<Value = TraceParent> {
    (1..=u128::MAX, 1..=u64::MAX, any::<u8>()).prop_map(|(trace, parent, flags)| {
        TraceParent::parse(format!("00-{trace:032x}-{parent:016x}-{flags:02x}")).expect("ids that are not zero")
    })
}

/// A password for a new account.
pub fn password() -> impl Strategy<Value = Password> {
    let text = prop_oneof![
        6 => collection::vec(character(), 8..=16).prop_map(String::from_iter),
        1 => collection::vec(character(), 8).prop_map(String::from_iter),
        1 => Just("x".repeat(Password::MAX_BYTES)),
        1 => Just("é".repeat(Password::MAX_BYTES / 2)),
    ];
    text.prop_map(|text| Password::parse(text).expect("8 characters to 256 bytes"))
}

/// The hash of a password in PHC string form, which is the hash of none.
pub fn password_hash() -> impl Strategy<Value = PasswordHash> {
    "[A-Za-z0-9+/]{22}\\$[A-Za-z0-9+/]{43}"
        .prop_map(|salt_and_hash| PasswordHash::new(format!("$argon2id$v=19$m=19456,t=2,p=1${salt_and_hash}")))
}

/// Labels: mostly a few, sometimes none, sometimes 64.
pub fn labels() -> impl Strategy<Value = Labels> {
    let key = over(character(), 63).prop_map(|text| allowing(&text, |c| !c.is_control() && c != '='));
    let value = prop_oneof![1 => Just(String::new()), 6 => over(character(), 256)]
        .prop_map(|text| allowing(&text, |c| c != '\0'));
    let most = "[a-z]{1,3}".prop_map(|value| (0..64).map(|i| (format!("k{i}"), value.clone())).collect());
    prop_oneof![2 => Just(BTreeMap::new()), 8 => collection::btree_map(key, value, 1..=4), 1 => most]
        .prop_map(|pairs| Labels::parse(pairs).expect("keys and values as they must be"))
}

/// Any text without NUL, as it stands in what is kept but not parsed.
pub(super) fn unparsed() -> impl Strategy<Value = String> {
    over(character(), 64).prop_map(|text| allowing(&text, |c| c != '\0'))
}

/// JSON of some depth, without NUL in its texts and without fractions, which stores need not keep to the last bit.
pub fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        unparsed().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            collection::btree_map(unparsed(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}
