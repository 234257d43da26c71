//! What can be asked for, from small pools so that requests often meet.

use alm_core::domain::DeploymentStatus;
use proptest::{collection::vec, option, prelude::*, sample::select};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Admin,
    User,
    Nobody,
}

/// The number that the model gives a resource; it may also be of one that never existed.
pub(super) type Number = usize;

/// The revisions that a caller agrees to.
pub(super) type Agreed = Option<Vec<u64>>;

pub(super) type Label = Option<&'static str>;

#[derive(Clone, Debug)]
pub(super) enum Command {
    CreateApp {
        who: Who,
        name: &'static str,
        description: &'static str,
        team: Label,
    },
    GetApp {
        who: Who,
        app: Number,
    },
    UpdateApp {
        who: Who,
        app: Number,
        name: &'static str,
        description: &'static str,
        team: Label,
        agreed: Agreed,
    },
    DeleteApp {
        who: Who,
        app: Number,
        agreed: Agreed,
    },
    ListApps {
        name: Option<&'static str>,
        team: Label,
        limit: usize,
    },
    Environments {
        app: Number,
        limit: usize,
    },
    CreateVersion {
        who: Who,
        app: Number,
        tag: &'static str,
        changelog: &'static str,
        team: Label,
    },
    GetVersion {
        who: Who,
        version: Number,
    },
    UpdateVersion {
        who: Who,
        version: Number,
        changelog: &'static str,
        team: Label,
        agreed: Agreed,
    },
    DeleteVersion {
        who: Who,
        version: Number,
        agreed: Agreed,
    },
    ListVersions {
        app: Option<Number>,
        team: Label,
        limit: usize,
    },
    CreateDeployment {
        who: Who,
        version: Number,
        app: Option<Number>,
        environment: &'static str,
    },
    GetDeployment {
        who: Who,
        deployment: Number,
    },
    SetStatus {
        who: Who,
        deployment: Number,
        status: DeploymentStatus,
        agreed: Agreed,
    },
    DeleteDeployment {
        who: Who,
        deployment: Number,
        agreed: Agreed,
    },
    ListDeployments {
        filter: DeploymentsOf,
        limit: usize,
    },
    Audit {
        event_type: Option<&'static str>,
        actor: Option<&'static str>,
        limit: usize,
    },
    /// The consumers handle all there is.
    CatchUp,
    /// So many microseconds go by. Clocks are also set back, or stand.
    Wait(i64),
}

/// Which deployments.
#[derive(Clone, Debug)]
pub(super) struct DeploymentsOf {
    pub(super) app: Option<Number>,
    pub(super) version: Option<Number>,
    pub(super) environment: Option<&'static str>,
    pub(super) status: Option<DeploymentStatus>,
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![8 => Just(Who::Admin), 3 => Just(Who::User), 1 => Just(Who::Nobody)]
}

fn name() -> impl Strategy<Value = &'static str> {
    select(&["billing", "Billing", "café", "two words"][..])
}

fn text() -> impl Strategy<Value = &'static str> {
    select(&["", "x", "handles invoicing\n\u{1f680}"][..])
}

fn team() -> impl Strategy<Value = Label> {
    option::of(select(&["core", "web"][..]))
}

fn environment() -> impl Strategy<Value = &'static str> {
    select(&["dev", "prod", "eu-west_1.prod"][..])
}

fn tag() -> impl Strategy<Value = &'static str> {
    select(&["v1", "v2", "v1.0.0-rc.1+é"][..])
}

fn status() -> impl Strategy<Value = DeploymentStatus> {
    // What runs where is only told by those that are successful.
    prop_oneof![select(&DeploymentStatus::ALL[..]), Just(DeploymentStatus::Successful)]
}

fn agreed() -> impl Strategy<Value = Agreed> {
    prop_oneof![2 => Just(None), 1 => vec(1..4_u64, 0..3).prop_map(Some)]
}

fn limit() -> impl Strategy<Value = usize> {
    1..5_usize
}

/// Commands on the resources that were created until now, how many of each sort, and on a few that were not.
pub(super) fn commands([apps, versions, deployments]: [usize; 3]) -> BoxedStrategy<Command> {
    let app = || 0..apps + 2;
    let version = || 0..versions + 2;
    let deployment = || 0..deployments + 2;
    let filter = (option::of(app()), option::of(version()), option::of(environment()), option::of(status()));
    let filter =
        filter.prop_map(|(app, version, environment, status)| DeploymentsOf { app, version, environment, status });
    prop_oneof![
        4 => (who(), name(), text(), team())
            .prop_map(|(who, name, description, team)| Command::CreateApp { who, name, description, team }),
        1 => (who(), app()).prop_map(|(who, app)| Command::GetApp { who, app }),
        3 => (who(), app(), name(), text(), team(), agreed()).prop_map(
            |(who, app, name, description, team, agreed)| Command::UpdateApp { who, app, name, description, team, agreed }
        ),
        1 => (who(), app(), agreed()).prop_map(|(who, app, agreed)| Command::DeleteApp { who, app, agreed }),
        1 => (option::of(name()), team(), limit()).prop_map(|(name, team, limit)| Command::ListApps { name, team, limit }),
        3 => (app(), limit()).prop_map(|(app, limit)| Command::Environments { app, limit }),
        6 => (who(), app(), tag(), text(), team())
            .prop_map(|(who, app, tag, changelog, team)| Command::CreateVersion { who, app, tag, changelog, team }),
        1 => (who(), version()).prop_map(|(who, version)| Command::GetVersion { who, version }),
        3 => (who(), version(), text(), team(), agreed()).prop_map(
            |(who, version, changelog, team, agreed)| Command::UpdateVersion { who, version, changelog, team, agreed }
        ),
        2 => (who(), version(), agreed())
            .prop_map(|(who, version, agreed)| Command::DeleteVersion { who, version, agreed }),
        2 => (option::of(app()), team(), limit())
            .prop_map(|(app, team, limit)| Command::ListVersions { app, team, limit }),
        8 => (who(), version(), option::weighted(0.2, app()), environment()).prop_map(
            |(who, version, app, environment)| Command::CreateDeployment { who, version, app, environment }
        ),
        1 => (who(), deployment()).prop_map(|(who, deployment)| Command::GetDeployment { who, deployment }),
        8 => (who(), deployment(), status(), agreed()).prop_map(
            |(who, deployment, status, agreed)| Command::SetStatus { who, deployment, status, agreed }
        ),
        2 => (who(), deployment(), agreed())
            .prop_map(|(who, deployment, agreed)| Command::DeleteDeployment { who, deployment, agreed }),
        3 => (filter, limit()).prop_map(|(filter, limit)| Command::ListDeployments { filter, limit }),
        1 => (
            option::of(select(&["AppCreated", "DeploymentUpdated", "AccessDenied"][..])),
            option::of(select(&["ada", "bob"][..])),
            limit(),
        )
            .prop_map(|(event_type, actor, limit)| Command::Audit { event_type, actor, limit }),
        1 => Just(Command::CatchUp),
        3 => select(&[-5000, -3, 1, 2000][..]).prop_map(Command::Wait),
    ]
    .boxed()
}
