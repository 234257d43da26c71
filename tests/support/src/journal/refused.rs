use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{
    Entry,
    ask::Ask,
    check::{Kind, Violation},
};

/// A service that clients' requests go to, or that another one asks for the sake of theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "they are called what they are")]
pub enum Part {
    App,
    Version,
    Deployment,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::App, Self::Version, Self::Deployment];

    /// What a gateway calls it.
    fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Version => "version",
            Self::Deployment => "deployment",
        }
    }
}

/// What was refused for no good reason, in services that run apart: as if it could not be done, although of all services only
/// those that are `away` could not be reached at times; or as if there were no such thing, although it was made and no one has
/// asked for its end.
pub fn refused(journal: &[Entry], away: &[Part]) -> Vec<Violation> {
    let asks: HashMap<u64, &Ask> = journal.iter().filter_map(asked).collect();
    let living = living(journal, &asks);
    let mut found = Vec::new();
    for entry in journal {
        let Entry::Told { request, status, body } = entry else { continue };
        let Some(ask) = asks.get(request) else { continue };
        let is_good = match status {
            500.. => is_excused(ask, body, away),
            404 | 422 => !names(ask).is_some_and(|name| living.contains(&name)),
            _ => true,
        };
        if !is_good {
            found.push(Violation { kind: Kind::Refused, what: format!("{ask:?} was answered {status}: {body}") });
        }
    }
    found
}

fn asked(entry: &Entry) -> Option<(u64, &Ask)> {
    match entry {
        Entry::Asked { request, ask, .. } => Some((*request, ask)),
        Entry::Told { .. } => None,
    }
}

/// Whether one of those that are away is the reason.
fn is_excused(ask: &Ask, body: &Value, away: &[Part]) -> bool {
    let (own, parent) = match ask {
        Ask::CreateApp { .. } | Ask::UpdateApp { .. } | Ask::DeleteApp { .. } => (Part::App, None),
        Ask::CreateVersion { .. } => (Part::Version, Some(Part::App)),
        Ask::UpdateVersion { .. } | Ask::DeleteVersion { .. } => (Part::Version, None),
        Ask::CreateDeployment { .. } => (Part::Deployment, Some(Part::Version)),
        Ask::MoveDeployment { .. } | Ask::DeleteDeployment { .. } => (Part::Deployment, None),
    };
    if body["upstream"].is_string() {
        return body["upstream"] == own.name() && away.contains(&own);
    }
    // Its parent could not be known.
    body["code"] == "unavailable" && parent.is_some_and(|parent| away.contains(&parent))
}

/// The kind of a thing, and its id.
type Name = (Part, i64);

/// What a request is about that must be there.
fn names(ask: &Ask) -> Option<Name> {
    match ask {
        Ask::CreateApp { .. } => None,
        Ask::UpdateApp { id, .. } | Ask::DeleteApp { id } | Ask::CreateVersion { app_id: id, .. } => {
            Some((Part::App, *id))
        }
        Ask::UpdateVersion { id, .. } | Ask::DeleteVersion { id } | Ask::CreateDeployment { version_id: id, .. } => {
            Some((Part::Version, *id))
        }
        Ask::MoveDeployment { id, .. } | Ask::DeleteDeployment { id } => Some((Part::Deployment, *id)),
    }
}

/// What was made, and no one has asked for the end of it, nor of what it belongs to.
fn living(journal: &[Entry], asks: &HashMap<u64, &Ask>) -> HashSet<Name> {
    let mut ended = HashSet::new();
    for ask in asks.values() {
        if matches!(ask, Ask::DeleteApp { .. } | Ask::DeleteVersion { .. } | Ask::DeleteDeployment { .. }) {
            ended.extend(names(ask));
        }
    }
    let mut parents = HashMap::new();
    for entry in journal {
        let Entry::Told { request, status: 201, body } = entry else { continue };
        let (Some(ask), Some(id)) = (asks.get(request), body["id"].as_i64()) else { continue };
        let kind = match ask {
            Ask::CreateApp { .. } => Part::App,
            Ask::CreateVersion { .. } => Part::Version,
            Ask::CreateDeployment { .. } => Part::Deployment,
            _ => continue,
        };
        parents.insert((kind, id), names(ask));
    }
    let lives = |name: &Name| {
        let mut line = std::iter::successors(Some(*name), |name| parents.get(name).copied().flatten());
        !line.any(|name| ended.contains(&name))
    };
    parents.keys().copied().filter(lives).collect()
}
