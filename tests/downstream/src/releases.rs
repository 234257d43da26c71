//! A service of its own: what to do when a build is finished.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use alm_core::{
    Alm, Context, Error,
    domain::{AppId, Deployment, NewDeployment, NewVersion},
    ports::StoreError,
};

use crate::store::JsonFileStore;

/// ALM over the file at `path`.
///
/// # Errors
/// The file can't be read or made.
pub async fn open(path: impl Into<PathBuf>) -> Result<Alm, StoreError> {
    Ok(Alm::builder(Arc::new(JsonFileStore::open(path).await?)).build())
}

/// Records a build as a version of `app` and asks for its deployment to `staging`.
///
/// # Errors
/// What ALM says.
pub async fn release(alm: &Alm, cx: &Context, app: AppId, tag: &str) -> Result<Deployment, Error> {
    let version = NewVersion::parse(app, tag.to_owned(), String::new(), BTreeMap::new())?;
    let version = alm.versions().create(cx, version).await?.value;
    let deployment = NewDeployment::parse(version.id, Some(app), "staging".to_owned())?;
    Ok(alm.deployments().create(cx, deployment).await?.value)
}
