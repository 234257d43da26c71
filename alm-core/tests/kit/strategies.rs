//! Strategies give what is valid and reach its edges; their invalid twins give what is refused, and reach every rule.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use alm_core::{
    changeset::{
        Checkpoint, ConsumerName, DeadLetter, Guard, IdempotencyKey, IdempotencyRecord, IdempotencyScope, Stamp,
    },
    domain::*,
    policy::{Action, Principal},
    testing::{property, strategies::*},
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use serde::{Serialize, de::DeserializeOwned};

/// Always the same values.
fn sample<S: Strategy>(strategy: &S, count: usize) -> Vec<S::Value> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(property(1), rng);
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

fn reads_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> Result<(), TestCaseError> {
    let json = serde_json::to_string(value).unwrap();
    prop_assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), value, "{}", json);
    Ok(())
}

/// A test for each type: what its strategy gives is the same after JSON.
macro_rules! read_back {
    ($($name:ident: $($type:ty),+;)+) => {
        proptest! {
            #![proptest_config(property(64))]
            $(
                #[test]
                fn $name(values in ($(any::<$type>(),)+)) {
                    read_back!(@each values $($type),+);
                }
            )+
        }
    };
    (@each $values:ident $a:ty) => { reads_back(&$values.0)?; };
    (@each $values:ident $a:ty, $b:ty) => { read_back!(@each $values $a); reads_back(&$values.1)?; };
    (@each $values:ident $a:ty, $b:ty, $c:ty) => { read_back!(@each $values $a, $b); reads_back(&$values.2)?; };
    (@each $values:ident $a:ty, $b:ty, $c:ty, $d:ty) => { read_back!(@each $values $a, $b, $c); reads_back(&$values.3)?; };
}

read_back! {
    names_are_read_back: AppName, Tag, EnvironmentName, Username;
    names_of_keys_and_grants_are_read_back: ApiKeyName, Grant;
    texts_are_read_back: Description, Changelog, Actor, TraceParent;
    numeric_ids_are_read_back: AppId, VersionId, DeploymentId, Revision;
    places_are_read_back: Position, AuditIndex, Timestamp;
    uuids_are_read_back: EventId, ChangesetId, LogId, CredentialId;
    words_are_read_back: Role, DeploymentStatus, EventType, SourceService;
    reasons_and_hashes_are_read_back: SessionEnd, SecretHash;
    resources_are_read_back: App, Version, Deployment;
    accounts_are_read_back: User, UserRecord, PasswordHash, Principal;
    credentials_are_read_back: Credential, Holder, Session, ApiKey;
    retired_secrets_are_read_back: Retired;
    labels_and_subjects_are_read_back: Labels, Subject;
    event_data_are_read_back: AppData, VersionData, DeploymentData, DeploymentUpdate;
    account_data_are_read_back: UserData, UserCreated, LoginFailed, AccessDenied;
    session_data_are_read_back: SessionData, SessionEnded, ApiKeyData, ApiKeyRevoked;
    entries_and_documents_are_read_back: AuditEntry, NewAuditEntry, CloudEvent;
}

proptest! {
    #![proptest_config(property(256))]

    #[test]
    fn texts_pass_their_own_rules(
        app in app_name(), tag in tag(), (description, changelog) in (description(), changelog()),
        environment in environment_name(), (username, actor) in (username(), actor()), subject in subject(),
        (api_key, grant) in (api_key_name(), grant()), trace in traceparent(), password in password(), consumer in consumer_name(), key in idempotency_key(),
    ) {
        prop_assert_eq!(AppName::parse(app.as_str()).unwrap(), app);
        prop_assert_eq!(Tag::parse(tag.as_str()).unwrap(), tag);
        prop_assert_eq!(Description::parse(description.as_str()).unwrap(), description);
        prop_assert_eq!(Changelog::parse(changelog.as_str()).unwrap(), changelog);
        prop_assert_eq!(EnvironmentName::parse(environment.as_str()).unwrap(), environment);
        prop_assert_eq!(Username::parse(username.as_str()).unwrap(), username);
        prop_assert_eq!(Actor::parse(actor.as_str()).unwrap(), actor);
        prop_assert_eq!(Subject::parse(&subject.to_string()).unwrap(), subject);
        prop_assert_eq!(ApiKeyName::parse(api_key.as_str()).unwrap(), api_key);
        prop_assert_eq!(Grant::parse(&grant.to_string()).unwrap(), grant);
        prop_assert_eq!(TraceParent::parse(trace.as_str()).unwrap(), trace);
        prop_assert!(Password::parse(password.expose()).is_ok());
        prop_assert_eq!(ConsumerName::parse(consumer.as_str()).unwrap(), consumer);
        prop_assert_eq!(IdempotencyKey::parse(key.as_str()).unwrap(), key);
    }

    #[test]
    fn a_resource_was_created_before_it_was_changed(app in app(), version in version(), deployment in deployment()) {
        prop_assert!(app.created_at <= app.updated_at);
        prop_assert!(version.created_at <= version.updated_at);
        prop_assert!(deployment.created_at <= deployment.updated_at);
        prop_assert_eq!(deployment.finished_at, deployment.status.is_final().then_some(deployment.updated_at));
        prop_assert_eq!(deployment.revision == Revision::FIRST, deployment.status == DeploymentStatus::Pending);
    }

    #[test]
    fn what_runs_is_a_successful_deployment_of_that_version(running in running_version()) {
        let RunningVersion { environment, version, deployment, since } = running;
        prop_assert_eq!(deployment.status, DeploymentStatus::Successful);
        if let Some(version) = version {
            prop_assert_eq!((deployment.version_id, deployment.app_id), (version.id, version.app_id));
        }
        prop_assert_eq!((deployment.environment, deployment.finished_at), (environment, Some(since)));
    }

    #[test]
    fn an_event_is_read_back_from_its_document(event in event()) {
        prop_assert_eq!(Event::try_from(CloudEvent::from(&event)).unwrap(), event.clone());
        let kind = event.data.event_type().unwrap();
        prop_assert_eq!(EventData::from_json(kind, event.data.to_json()).unwrap(), event.data.clone());
    }

    #[test]
    fn numbers_fit_in_an_i64(
        revision in revision(), position in position(), index in audit_index(), checkpoint in checkpoint(),
        letter in dead_letter(), event in event(),
    ) {
        let counts = [revision.get(), position.get(), index.get(), checkpoint.to.get(), letter.position.get()];
        prop_assert!(counts.iter().all(|count| i64::try_from(*count).is_ok()));
        prop_assert!(checkpoint.from <= checkpoint.to);
        prop_assert!(event.position > Position::START && letter.position > Position::START);
    }

    #[test]
    fn an_answer_expires_after_it_was_given(record in any::<IdempotencyRecord>()) {
        prop_assert!(record.created_at <= record.expires_at);
    }

    #[test]
    fn errors_name_what_they_are_about(
        error in field_error(), invalid in invalid(), rejected in rejected(), transition in illegal_transition(),
    ) {
        prop_assert!(error.pointer.is_empty() || error.pointer.starts_with('/'));
        prop_assert!(!invalid.errors().is_empty());
        prop_assert!(!rejected.detail.is_empty());
        prop_assert!(transition.from.to(transition.to).is_err());
    }
}

#[test]
fn every_type_has_its_strategy() {
    fn one<T: Arbitrary>() {
        sample(&any::<T>(), 1);
    }
    one::<(NewApp, NewVersion, VersionUpdate, NewDeployment, RunningVersion, NewUser, Password)>();
    one::<(UserUpdate, NewApiKey)>();
    one::<(EventData, NewEvent, Event, Rejected, FieldError, Invalid, IllegalTransition)>();
    one::<(Stamp, alm_core::changeset::Change, Guard, Checkpoint, ConsumerName, DeadLetter)>();
    one::<(IdempotencyKey, IdempotencyScope, IdempotencyRecord, Action)>();
}

/// Every twin is refused with its code, and together they show `rules`.
fn refused<I: Clone + Debug>(
    twins: impl Strategy<Value = (I, &'static str)>,
    parse: impl Fn(I) -> Vec<String>,
    rules: &[&str],
) {
    let mut seen = BTreeSet::new();
    for (raw, code) in sample(&twins, 1_000) {
        assert_eq!(parse(raw.clone()), [code], "{raw:?}");
        seen.insert(code);
    }
    assert_eq!(seen, rules.iter().copied().collect());
}

/// The code with which a text is refused, if it is.
fn code<T>(parse: impl Fn(String) -> Result<T, Rejected>) -> impl Fn(String) -> Vec<String> {
    move |text| parse(text).err().map(|rejected| rejected.code.to_owned()).into_iter().collect()
}

#[test]
fn invalid_names_are_refused_by_every_rule() {
    let rules = ["empty", "too-long", "control-character", "surrounding-space"];
    refused(invalid_app_name(), code(AppName::parse), &rules);
    refused(invalid_tag(), code(Tag::parse), &["empty", "too-long", "not-visible"]);
    let rules = ["empty", "too-long", "invalid-character"];
    refused(invalid_environment_name(), code(EnvironmentName::parse), &rules);
    let rules = ["empty", "too-long", "invalid-character", "reserved-name"];
    refused(invalid_username(), code(Username::parse), &rules);
    refused(invalid_api_key_name(), code(ApiKeyName::parse), &rules);
    refused(invalid_actor(), code(Actor::parse), &["empty", "too-long", "control-character"]);
    refused(invalid_consumer_name(), code(ConsumerName::parse), &["not-a-consumer-name"]);
}

#[test]
fn invalid_texts_are_refused_by_every_rule() {
    refused(invalid_description(), code(Description::parse), &["too-long", "nul-character"]);
    refused(invalid_changelog(), code(Changelog::parse), &["too-long", "nul-character"]);
    refused(invalid_password(), code(Password::parse), &["too-short", "too-long"]);
    refused(invalid_subject(), code(|text| Subject::parse(&text)), &["not-a-subject"]);
    refused(invalid_grant(), code(|text| Grant::parse(&text)), &["not-a-grant"]);
    refused(invalid_traceparent(), code(TraceParent::parse), &["not-a-traceparent"]);
    refused(invalid_timestamp(), code(|text| Timestamp::parse(&text)), &["not-a-time"]);
    refused(invalid_idempotency_key(), code(IdempotencyKey::parse), &["invalid-idempotency-key"]);
}

#[test]
fn invalid_labels_are_refused_by_every_rule() {
    let parse = |pairs: BTreeMap<String, String>| {
        let errors = Labels::parse(pairs).err().unwrap_or_default();
        errors.into_iter().map(|error| error.code).collect()
    };
    refused(invalid_labels(), parse, &["too-many", "empty", "too-long", "invalid-character", "nul-character"]);
}

type Claim<T> = (&'static str, fn(&T) -> bool);

/// Of some values, each claim holds for one at least.
fn reaches<T: Debug>(values: &[T], claims: &[Claim<T>]) {
    for (claim, holds) in claims {
        assert!(values.iter().any(holds), "never {claim}");
    }
}

fn texts<T: Debug>(strategy: impl Strategy<Value = T>, text: impl Fn(&T) -> &str) -> Vec<String> {
    sample(&strategy, 1_000).iter().map(|value| text(value).to_owned()).collect()
}

/// Texts have every kind of character, and are as short and as long (in characters) as they can be.
fn reaches_every_character(texts: &[String], shortest: usize, longest: usize) {
    reaches(
        texts,
        &[
            ("beyond the basic plane", |text| text.chars().any(|c| c > '\u{ffff}')),
            ("from right to left", |text| text.chars().any(|c| ('\u{590}'..'\u{700}').contains(&c))),
            ("a combining mark", |text| text.chars().any(|c| ('\u{300}'..'\u{370}').contains(&c))),
            ("a composed letter", |text| text.contains('é')),
            ("a quote", |text| text.contains('\'')),
            ("a double quote", |text| text.contains('"')),
            ("a backslash", |text| text.contains('\\')),
            ("a percent sign", |text| text.contains('%')),
            ("a low line", |text| text.contains('_')),
            ("plain", |text| text.bytes().all(|b| b.is_ascii_lowercase())),
        ],
    );
    reaches_lengths(texts, shortest, longest);
}

fn reaches_lengths(texts: &[String], shortest: usize, longest: usize) {
    let lengths = || texts.iter().map(|text| text.chars().count());
    assert_eq!((lengths().min(), lengths().max()), (Some(shortest), Some(longest)));
}

#[test]
fn texts_reach_their_edges() {
    reaches_every_character(&texts(app_name(), AppName::as_str), 1, 128);
    reaches_every_character(&texts(tag(), Tag::as_str), 1, 128);
    reaches_every_character(&texts(actor(), Actor::as_str), 1, 256);
    reaches_every_character(&texts(description(), Description::as_str), 0, 4 * 1024);
    reaches_every_character(&texts(changelog(), Changelog::as_str), 0, 32 * 1024);
    reaches_lengths(&texts(environment_name(), EnvironmentName::as_str), 1, 64);
    reaches_lengths(&texts(username(), Username::as_str), 1, 64);
    reaches_lengths(&texts(api_key_name(), ApiKeyName::as_str), 1, 64);
    reaches_lengths(&texts(consumer_name(), ConsumerName::as_str), 1, 31);
    reaches_lengths(&texts(idempotency_key(), IdempotencyKey::as_str), 1, 255);
    reaches_lengths(&texts(password(), Password::expose), 8, 256);
}

#[test]
fn labels_reach_their_edges() {
    reaches(
        &sample(&labels(), 1_000),
        &[
            ("none", Labels::is_empty),
            ("as many as there can be", |labels| labels.iter().count() == 64),
            ("the longest key", |labels| labels.iter().any(|(key, _)| key.chars().count() == 63)),
            ("the longest value", |labels| labels.iter().any(|(_, value)| value.chars().count() == 256)),
            ("an empty value", |labels| labels.iter().any(|(_, value)| value.is_empty())),
            ("a quote", |labels| labels.iter().any(|(key, _)| key.contains('\''))),
        ],
    );
}

#[test]
fn numbers_and_times_reach_their_edges() {
    reaches(
        &sample(&app_id(), 1_000),
        &[
            ("the first", |id| id.get() == 1),
            ("the last", |id| id.get() == i64::MAX),
            ("beyond 32 bits", |id| id.get() > i64::from(u32::MAX)),
        ],
    );
    reaches(
        &sample(&position(), 1_000),
        &[
            ("the start", |position| *position == Position::START),
            ("the first", |position| *position == Position::FIRST),
            ("the last", |position| position.get() == i64::MAX.unsigned_abs()),
        ],
    );
    reaches(
        &sample(&timestamp(), 1_000),
        &[
            ("the first", |time| *time == Timestamp::MIN),
            ("the last", |time| *time == Timestamp::MAX),
            ("just before the epoch", |time| (-1_000..0).contains(&time.micros())),
            ("within a millisecond", |time| time.micros() % 1_000 != 0),
        ],
    );
    reaches(
        &sample(&app(), 1_000),
        &[("unchanged", |app| app.created_at == app.updated_at), ("changed", |app| app.created_at < app.updated_at)],
    );
}

#[test]
fn credentials_and_grants_reach_their_edges() {
    reaches(
        &sample(&grant(), 1_000),
        &[
            ("everywhere", |grant| grant.app.is_none() && grant.environment.is_none()),
            ("in one app", |grant| grant.app.is_some() && grant.environment.is_none()),
            ("in one environment", |grant| grant.app.is_none() && grant.environment.is_some()),
            ("in one environment of one app", |grant| grant.app.is_some() && grant.environment.is_some()),
        ],
    );
    reaches(
        &sample(&grants(), 1_000),
        &[("none", BTreeSet::is_empty), ("as many as there can be", |grants| grants.len() == Grant::MAX)],
    );
    let retired = |credential: &Credential| match &credential.holder {
        Holder::ApiKey(key) => Some(key.retired.is_some()),
        Holder::Session(_) => None,
    };
    let kinds: BTreeSet<_> = sample(&credential(), 200).iter().map(retired).collect();
    assert_eq!(kinds.len(), 3, "sessions, and API keys with a retired secret and without: {kinds:?}");
    let days: BTreeSet<_> = sample(&new_api_key(), 200).iter().map(|new| new.seconds / (24 * 60 * 60)).collect();
    assert_eq!((days.first(), days.last()), (Some(&1), Some(&NewApiKey::MAX_DAYS.into())));
}

#[test]
fn choices_are_all_made() {
    let kinds: BTreeSet<_> = sample(&event_data(), 1_000).iter().map(|data| data.type_name().to_owned()).collect();
    assert_eq!(kinds.len(), EventType::ALL.len());
    let statuses: BTreeSet<_> = sample(&deployment(), 200).iter().map(|deployment| deployment.status).collect();
    assert_eq!(statuses.len(), DeploymentStatus::ALL.len());
    let ends: BTreeSet<_> = sample(&session_end(), 200).into_iter().map(|end| format!("{end:?}")).collect();
    assert_eq!(ends.len(), SessionEnd::ALL.len());
    let actions: BTreeSet<_> = sample(&action(), 1_000).into_iter().collect();
    assert_eq!(actions.len(), Action::ALL.len());
}
