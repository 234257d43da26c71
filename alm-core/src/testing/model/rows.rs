//! What the model keeps, and how it looks from outside: as a resource and in an event.

use serde_json::{Value, json};

use crate::domain::DeploymentStatus;

use super::command::{Agreed, Label, Number};

/// When something happened, as the place in the log of the event that tells of it.
pub(super) type Place = usize;

#[derive(Clone, Debug)]
pub(super) struct Times {
    pub(super) created: Place,
    pub(super) updated: Place,
    pub(super) revision: u64,
}

impl Times {
    pub(super) fn new(at: Place) -> Self {
        Self { created: at, updated: at, revision: 1 }
    }

    pub(super) fn touch(&mut self, at: Place) {
        self.updated = at;
        self.revision += 1;
    }

    fn beside(&self, mut resource: Value) -> Value {
        resource["created_at"] = self.created.into();
        resource["updated_at"] = self.updated.into();
        resource["revision"] = self.revision.into();
        resource
    }

    pub(super) fn check(&self, agreed: &Agreed) -> Result<(), &'static str> {
        match agreed {
            Some(agreed) if !agreed.contains(&self.revision) => Err("precondition-failed"),
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct App {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) team: Label,
    pub(super) times: Times,
}

#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) app: Number,
    pub(super) tag: &'static str,
    pub(super) changelog: &'static str,
    pub(super) team: Label,
    pub(super) times: Times,
}

#[derive(Clone, Debug)]
pub(super) struct Deployment {
    pub(super) app: Number,
    pub(super) version: Number,
    pub(super) environment: &'static str,
    pub(super) status: DeploymentStatus,
    pub(super) finished: Option<Place>,
    pub(super) times: Times,
}

pub(super) fn may_follow(from: DeploymentStatus, to: DeploymentStatus) -> bool {
    use DeploymentStatus::{Canceled, Failed, Pending, Running, Successful};
    matches!((from, to), (Pending, Running) | (Pending | Running, Successful | Failed | Canceled))
}

fn labels(team: Label) -> Value {
    team.map_or_else(|| json!({}), |team| json!({"team": team}))
}

impl App {
    pub(super) fn json(&self, number: Number) -> Value {
        let Self { name, description, team, times } = self;
        times.beside(json!({"id": number, "name": name, "description": description, "labels": labels(*team)}))
    }

    pub(super) fn data(&self, number: Number) -> Value {
        json!({"id": number, "name": self.name, "description": self.description})
    }
}

impl Version {
    pub(super) fn json(&self, number: Number) -> Value {
        let Self { app, tag, changelog, team, times } = self;
        let labels = labels(*team);
        times.beside(json!({"id": number, "app_id": app, "tag": tag, "changelog": changelog, "labels": labels}))
    }

    pub(super) fn data(&self, number: Number) -> Value {
        json!({"version_id": number, "app_id": self.app, "tag": self.tag, "changelog": self.changelog})
    }
}

impl Deployment {
    pub(super) fn json(&self, number: Number) -> Value {
        let Self { app, version, environment, status, finished, times } = self;
        times.beside(json!({
            "id": number, "app_id": app, "version_id": version, "environment": environment,
            "status": status.as_str(), "finished_at": finished,
        }))
    }

    pub(super) fn data(&self, number: Number, previous: Option<DeploymentStatus>) -> Value {
        let Self { app, version, environment, status, .. } = self;
        let mut data = json!({
            "deployment_id": number, "version_id": version, "app_id": app, "environment": environment,
            "status": status.as_str(),
        });
        if let Some(previous) = previous {
            data["previous_status"] = previous.as_str().into();
        }
        data
    }
}
