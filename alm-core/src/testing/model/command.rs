//! What can be asked for, from small pools so that requests often meet.

use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::domain::DeploymentStatus;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// `ada`, who may do everything.
    Admin,
    /// `bob`, who may not delete.
    User,
    /// Someone who has not said who they are.
    Nobody,
}

/// The number that the model gives a resource, from 0 in the order of creation; it may also be of one that never existed.
pub type Number = usize;

/// The revisions that a caller agrees to; `None` for any.
pub type Agreed = Option<Vec<u64>>;

/// The value of the label `team`.
pub type Label = Option<&'static str>;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Creates an app.
    CreateApp {
        /// Who asks.
        who: Who,
        /// Its name.
        name: &'static str,
        /// Its description.
        description: &'static str,
        /// Its label `team`.
        team: Label,
    },
    /// Gets an app.
    GetApp {
        /// Who asks.
        who: Who,
        /// Which app.
        app: Number,
    },
    /// Replaces what can be changed of an app.
    UpdateApp {
        /// Who asks.
        who: Who,
        /// Which app.
        app: Number,
        /// Its name.
        name: &'static str,
        /// Its description.
        description: &'static str,
        /// Its label `team`.
        team: Label,
        /// At which revisions.
        agreed: Agreed,
    },
    /// Deletes an app.
    DeleteApp {
        /// Who asks.
        who: Who,
        /// Which app.
        app: Number,
        /// At which revisions.
        agreed: Agreed,
    },
    /// Lists apps, page by page, to the end.
    ListApps {
        /// Only with this name.
        name: Option<&'static str>,
        /// Only with this label `team`.
        team: Label,
        /// How many on a page.
        limit: usize,
    },
    /// Lists what runs in the environments of an app, page by page, to the end.
    Environments {
        /// Which app.
        app: Number,
        /// How many on a page.
        limit: usize,
    },
    /// Creates a version.
    CreateVersion {
        /// Who asks.
        who: Who,
        /// Of which app.
        app: Number,
        /// Its tag.
        tag: &'static str,
        /// Its changelog.
        changelog: &'static str,
        /// Its label `team`.
        team: Label,
    },
    /// Gets a version.
    GetVersion {
        /// Who asks.
        who: Who,
        /// Which version.
        version: Number,
    },
    /// Replaces what can be changed of a version.
    UpdateVersion {
        /// Who asks.
        who: Who,
        /// Which version.
        version: Number,
        /// Its changelog.
        changelog: &'static str,
        /// Its label `team`.
        team: Label,
        /// At which revisions.
        agreed: Agreed,
    },
    /// Deletes a version.
    DeleteVersion {
        /// Who asks.
        who: Who,
        /// Which version.
        version: Number,
        /// At which revisions.
        agreed: Agreed,
    },
    /// Lists versions, page by page, to the end.
    ListVersions {
        /// Only of this app.
        app: Option<Number>,
        /// Only with this label `team`.
        team: Label,
        /// How many on a page.
        limit: usize,
    },
    /// Creates a deployment.
    CreateDeployment {
        /// Who asks.
        who: Who,
        /// Of which version.
        version: Number,
        /// Of which app the caller takes the version to be.
        app: Option<Number>,
        /// Where to.
        environment: &'static str,
    },
    /// Gets a deployment.
    GetDeployment {
        /// Who asks.
        who: Who,
        /// Which deployment.
        deployment: Number,
    },
    /// Moves a deployment on.
    SetStatus {
        /// Who asks.
        who: Who,
        /// Which deployment.
        deployment: Number,
        /// To which status.
        status: DeploymentStatus,
        /// At which revisions.
        agreed: Agreed,
    },
    /// Deletes a deployment.
    DeleteDeployment {
        /// Who asks.
        who: Who,
        /// Which deployment.
        deployment: Number,
        /// At which revisions.
        agreed: Agreed,
    },
    /// Lists deployments, page by page, to the end.
    ListDeployments {
        /// Which ones.
        filter: DeploymentsOf,
        /// How many on a page.
        limit: usize,
    },
    /// Lists audit entries, page by page, to the end.
    Audit {
        /// Only of this type.
        event_type: Option<&'static str>,
        /// Only by this actor.
        actor: Option<&'static str>,
        /// How many on a page.
        limit: usize,
    },
    /// The consumers handle all there is.
    CatchUp,
    /// So many microseconds go by. Clocks are also set back, or stand.
    Wait(i64),
}

/// Which deployments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeploymentsOf {
    /// Only of this app.
    pub app: Option<Number>,
    /// Only of this version.
    pub version: Option<Number>,
    /// Only to this environment.
    pub environment: Option<&'static str>,
    /// Only with this status.
    pub status: Option<DeploymentStatus>,
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

/// Commands on the resources that were created until now, so many apps, versions and deployments, and on a few that were not.
pub fn commands([apps, versions, deployments]: [usize; 3]) -> BoxedStrategy<Command> {
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
