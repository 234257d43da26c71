//! Versions: what an application was at one time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AppId, Changelog, Invalid, Labels, Revision, Tag, Timestamp, VersionId, invalid::Fields};

/// A version of an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Given by the store, never reused.
    pub id: VersionId,
    /// The app that it is a version of; never changes.
    pub app_id: AppId,
    /// Unique in its app; never changes.
    pub tag: Tag,
    /// What changed in it.
    pub changelog: Changelog,
    /// Free pairs.
    pub labels: Labels,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// How often it has been changed, from 1.
    pub revision: Revision,
}

/// What it takes to create a [`Version`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVersion {
    /// An app that exists.
    pub app_id: AppId,
    /// Unique in its app.
    pub tag: Tag,
    /// What changed in it.
    pub changelog: Changelog,
    /// Free pairs.
    pub labels: Labels,
}

impl NewVersion {
    /// Checks every field.
    ///
    /// # Errors
    /// Every field that breaks its rule.
    pub fn parse(
        app_id: AppId,
        tag: String,
        changelog: String,
        labels: BTreeMap<String, String>,
    ) -> Result<Self, Invalid> {
        let mut fields = Fields::default();
        let tag = fields.take("/tag", Tag::parse(tag));
        let changelog = fields.take("/changelog", Changelog::parse(changelog));
        let labels = fields.take_all("/labels", Labels::parse(labels));
        fields.finish(tag.zip(changelog).zip(labels).map(|((tag, changelog), labels)| Self {
            app_id,
            tag,
            changelog,
            labels,
        }))
    }
}

/// The changeable fields of a [`Version`], all of them: an update replaces every one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionUpdate {
    /// What changed in it.
    pub changelog: Changelog,
    /// Free pairs.
    pub labels: Labels,
}

impl VersionUpdate {
    /// Checks every field.
    ///
    /// # Errors
    /// Every field that breaks its rule.
    pub fn parse(changelog: String, labels: BTreeMap<String, String>) -> Result<Self, Invalid> {
        let mut fields = Fields::default();
        let changelog = fields.take("/changelog", Changelog::parse(changelog));
        let labels = fields.take_all("/labels", Labels::parse(labels));
        fields.finish(changelog.zip(labels).map(|(changelog, labels)| Self { changelog, labels }))
    }
}

impl Version {
    pub(crate) fn create(new: NewVersion, id: VersionId, at: Timestamp) -> Self {
        let NewVersion { app_id, tag, changelog, labels } = new;
        Self { id, app_id, tag, changelog, labels, created_at: at, updated_at: at, revision: Revision::FIRST }
    }

    /// This version with the changeable fields replaced, or `None` when they are what they were.
    pub(crate) fn update(&self, update: VersionUpdate, at: Timestamp) -> Option<Self> {
        let VersionUpdate { changelog, labels } = update;
        if self.changelog == changelog && self.labels == labels {
            return None;
        }
        Some(Self {
            id: self.id,
            app_id: self.app_id,
            tag: self.tag.clone(),
            changelog,
            labels,
            created_at: self.created_at,
            updated_at: at.max(self.updated_at),
            revision: self.revision.next(),
        })
    }
}
