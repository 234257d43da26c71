//! What someone wants to do in a history. Whether it can be done shows when it is folded into one.

use std::collections::BTreeSet;

use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::{
    changeset::ConsumerName,
    domain::{
        Actor, ApiKeyName, AppName, Changelog, CredentialId, DeploymentStatus, Description, EnvironmentName, Grant,
        Labels, NewApiKey, NewApp, PasswordHash, Role, SecretHash, SessionEnd, Tag, TraceParent, Username,
        VersionUpdate,
    },
    policy::Action,
};

use super::{
    action, actor, api_key_name, app_name, changelog, consumer_name, credential_id, description, environment_name,
    grants, labels, new_api_key, password_hash, role, secret_hash, session_end, tag, traceparent, username,
};

/// What clients send with a key: whatever makes something. Of all actions one would hardly come twice with the same key.
const KEYED: [Action; 6] = [
    Action::CreateApp,
    Action::CreateVersion,
    Action::CreateDeployment,
    Action::CreateUser,
    Action::CreateApiKey,
    Action::Login,
];

/// Points to one of those that there are when it is looked at: the first, the second, …, round and round.
pub(super) type Pick = usize;

/// One changeset, if anything in it can be done.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) by: Actor,
    pub(super) trace: Option<TraceParent>,
    /// How much later than the step before; clocks also go back.
    pub(super) later: i64,
    pub(super) intents: Vec<Intent>,
    pub(super) kind: Kind,
}

/// Whose changeset it is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// A caller's.
    Plain,
    /// A caller's who named the request, and whose answer is remembered for so many seconds.
    Remembered { key: Pick, action: Action, seconds: i64 },
    /// A consumer's, which moves on by at most so many events.
    Consumer { name: ConsumerName, events: usize, records: bool, gives_up: bool },
}

/// One change that someone wants.
#[derive(Clone, Debug)]
pub(super) enum Intent {
    CreateApp(NewApp),
    UpdateApp(Pick, NewApp),
    /// With its versions and their deployments.
    DeleteApp(Pick),
    CreateVersion(Pick, Tag, Changelog, Labels),
    UpdateVersion(Pick, VersionUpdate),
    /// With its deployments.
    DeleteVersion(Pick),
    CreateDeployment(Pick, EnvironmentName),
    MoveDeployment(Pick, DeploymentStatus),
    DeleteDeployment(Pick),
    CreateUser(Username, Role, BTreeSet<Grant>, PasswordHash),
    UpdateUser(Pick, Role, BTreeSet<Grant>),
    SetPassword(Pick, PasswordHash),
    /// Its sessions stay.
    DeleteUser(Pick),
    /// Without a session.
    LogIn(Pick),
    /// For so many seconds; the password may be hashed anew.
    OpenSession(Pick, CredentialId, SecretHash, i64, Option<Rehashed>),
    CreateApiKey(CredentialId, SecretHash, NewApiKey),
    /// The secret that a key had counts for so many seconds more.
    RenewCredential(Pick, SecretHash, i64),
    EndCredential(Pick, SessionEnd),
    FailToLogIn(Username),
    BeDenied(Action, Pick),
}

/// A password that is hashed anew.
#[derive(Clone, Debug)]
pub(super) struct Rehashed {
    /// What it was hashed to when it was checked, if the account has had another since.
    pub(super) outdated: Option<PasswordHash>,
    pub(super) new: PasswordHash,
}

/// Mostly one of a few, so that they meet; sometimes any.
fn mostly<T>(
    few: &[&'static str],
    parse: impl Fn(&str) -> Option<T>,
    any: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<T>
where
    T: Clone + std::fmt::Debug + 'static,
{
    let few: Vec<T> = few.iter().filter_map(|text| parse(text)).collect();
    prop_oneof![6 => select(few), 1 => any].boxed()
}

fn name() -> BoxedStrategy<AppName> {
    let few = ["billing", "Billing", "bill%", "bill_ng", "café", "שלום", "😀"];
    mostly(&few, |text| AppName::parse(text).ok(), app_name())
}

fn account() -> BoxedStrategy<Username> {
    mostly(&["ada", "Ada", "bob", "eve@example.org"], |text| Username::parse(text).ok(), username())
}

fn new_key() -> impl Strategy<Value = NewApiKey> {
    let name = mostly(&["ci", "CI", "deploy@prod"], |text| ApiKeyName::parse(text).ok(), api_key_name());
    (name, new_api_key()).prop_map(|(name, new)| NewApiKey { name, ..new })
}

/// None, or an hour, or a month.
fn seconds() -> impl Strategy<Value = i64> {
    select(&[0, 3_600, 30 * 24 * 3_600][..])
}

fn pick() -> impl Strategy<Value = Pick> {
    0..8_usize
}

fn some_labels() -> BoxedStrategy<Labels> {
    let few = ["", "team=core", "team=Core", "team=core,tier=1", "tier=1"];
    let parse = |text: &str| {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        Labels::parse(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()).ok()
    };
    mostly(&few, parse, labels())
}

fn purpose() -> BoxedStrategy<Description> {
    mostly(&["", "handles invoicing", "50% \"off\""], |text| Description::parse(text).ok(), description())
}

fn changes() -> BoxedStrategy<Changelog> {
    mostly(&["", "first", "it's fixed"], |text| Changelog::parse(text).ok(), changelog())
}

fn new_app() -> impl Strategy<Value = NewApp> {
    (name(), purpose(), some_labels()).prop_map(|(name, description, labels)| NewApp { name, description, labels })
}

fn intent() -> impl Strategy<Value = Intent> {
    let tag = mostly(&["v1", "V1", "v1.0.0", "v1%", "1"], |text| Tag::parse(text).ok(), tag());
    let environment = mostly(&["dev", "prod", "staging"], |text| EnvironmentName::parse(text).ok(), environment_name());
    let update = (changes(), some_labels()).prop_map(|(changelog, labels)| VersionUpdate { changelog, labels });
    let rehashed = (option::weighted(0.4, password_hash()), password_hash());
    let rehashed = rehashed.prop_map(|(outdated, new)| Rehashed { outdated, new });
    prop_oneof![
        6 => new_app().prop_map(Intent::CreateApp),
        3 => (pick(), new_app()).prop_map(|(app, new)| Intent::UpdateApp(app, new)),
        1 => pick().prop_map(Intent::DeleteApp),
        6 => (pick(), tag, changes(), some_labels())
            .prop_map(|(app, tag, changelog, labels)| Intent::CreateVersion(app, tag, changelog, labels)),
        2 => (pick(), update).prop_map(|(version, update)| Intent::UpdateVersion(version, update)),
        1 => pick().prop_map(Intent::DeleteVersion),
        6 => (pick(), environment).prop_map(|(version, to)| Intent::CreateDeployment(version, to)),
        8 => (pick(), select(&DeploymentStatus::ALL[1..]))
            .prop_map(|(deployment, to)| Intent::MoveDeployment(deployment, to)),
        1 => pick().prop_map(Intent::DeleteDeployment),
        5 => (account(), role(), grants(), password_hash())
            .prop_map(|(name, role, grants, hash)| Intent::CreateUser(name, role, grants, hash)),
        1 => (pick(), role(), grants()).prop_map(|(user, role, grants)| Intent::UpdateUser(user, role, grants)),
        1 => (pick(), password_hash()).prop_map(|(user, hash)| Intent::SetPassword(user, hash)),
        2 => pick().prop_map(Intent::DeleteUser),
        1 => pick().prop_map(Intent::LogIn),
        8 => (pick(), credential_id(), secret_hash(), seconds(), option::of(rehashed))
            .prop_map(|(user, id, secret, seconds, rehashed)| {
                Intent::OpenSession(user, id, secret, seconds, rehashed)
            }),
        2 => (credential_id(), secret_hash(), new_key())
            .prop_map(|(id, secret, new)| Intent::CreateApiKey(id, secret, new)),
        4 => (pick(), secret_hash(), seconds())
            .prop_map(|(credential, secret, seconds)| Intent::RenewCredential(credential, secret, seconds)),
        2 => (pick(), session_end()).prop_map(|(credential, reason)| Intent::EndCredential(credential, reason)),
        1 => account().prop_map(Intent::FailToLogIn),
        1 => (action(), pick()).prop_map(|(action, app)| Intent::BeDenied(action, app)),
    ]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    const HOUR: i64 = 3_600_000_000;
    let by = mostly(&["ada", "bob", "system"], |text| Actor::parse(text).ok(), actor());
    let later = prop_oneof![4 => 1..5_000_000_i64, 2 => Just(0), 1 => Just(25 * HOUR), 1 => -1_000_000..0_i64];
    let remembered = (0..3_usize, select(&KEYED[..]), prop_oneof![Just(0), Just(60), Just(24 * 3_600)])
        .prop_map(|(key, action, seconds)| Kind::Remembered { key, action, seconds });
    let consumer = mostly(&["audit", "cascade", "reader"], |text| ConsumerName::parse(text).ok(), consumer_name());
    let consumer = (consumer, 0..5_usize, any::<bool>(), prop::bool::weighted(0.2))
        .prop_map(|(name, events, records, gives_up)| Kind::Consumer { name, events, records, gives_up });
    let kind = prop_oneof![5 => Just(Kind::Plain), 2 => remembered, 3 => consumer];
    let intents = prop_oneof![6 => vec(intent(), 1), 2 => vec(intent(), 0..4)];
    (by, option::of(traceparent()), later, intents, kind).prop_map(|(by, trace, later, intents, kind)| Step {
        by,
        trace,
        later,
        intents,
        kind,
    })
}
