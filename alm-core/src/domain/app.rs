//! Applications: what has versions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AppId, AppName, Description, Invalid, Labels, Revision, Timestamp, invalid::Fields};

/// An application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// Given by the store, never reused.
    pub id: AppId,
    /// Unique among the apps.
    pub name: AppName,
    /// What it is for.
    pub description: Description,
    /// Free pairs.
    pub labels: Labels,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// How often it has been changed, from 1.
    pub revision: Revision,
}

/// What it takes to create an [`App`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewApp {
    /// Unique among the apps.
    pub name: AppName,
    /// What it is for.
    pub description: Description,
    /// Free pairs.
    pub labels: Labels,
}

/// The changeable fields of an [`App`], all of them: an update replaces every one.
pub type AppUpdate = NewApp;

impl NewApp {
    /// Checks every field.
    ///
    /// # Errors
    /// Every field that breaks its rule.
    pub fn parse(name: String, description: String, labels: BTreeMap<String, String>) -> Result<Self, Invalid> {
        let mut fields = Fields::default();
        let name = fields.take("/name", AppName::parse(name));
        let description = fields.take("/description", Description::parse(description));
        let labels = fields.take_all("/labels", Labels::parse(labels));
        fields.finish(name.zip(description).zip(labels).map(|((name, description), labels)| Self {
            name,
            description,
            labels,
        }))
    }
}

impl App {
    pub(crate) fn create(new: NewApp, id: AppId, at: Timestamp) -> Self {
        let NewApp { name, description, labels } = new;
        Self { id, name, description, labels, created_at: at, updated_at: at, revision: Revision::FIRST }
    }

    /// This app with the changeable fields replaced, or `None` when they are what they were.
    pub(crate) fn update(&self, update: AppUpdate, at: Timestamp) -> Option<Self> {
        let NewApp { name, description, labels } = update;
        if self.name == name && self.description == description && self.labels == labels {
            return None;
        }
        Some(Self {
            id: self.id,
            name,
            description,
            labels,
            created_at: self.created_at,
            updated_at: at.max(self.updated_at),
            revision: self.revision.next(),
        })
    }
}
