//! ALM in thirty lines: the domain on a store in memory, nothing else.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alm_core::{
    Alm, Context, Principal,
    domain::{DeploymentStatus, NewApp, NewDeployment, NewVersion},
    ports::{AuditFilter, TokioTimer},
    services::{Limit, Precondition},
};
use alm_store_memory::MemoryStore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let alm = Alm::builder(Arc::new(MemoryStore::new())).build();
    let me = Context::new(Principal::system());

    let app = NewApp::parse("billing".into(), "handles invoicing".into(), BTreeMap::new())?;
    let app = alm.apps().create(&me, app).await?.value;
    let version = NewVersion::parse(app.id, "v1.2.0".into(), "bug fixes".into(), BTreeMap::new())?;
    let version = alm.versions().create(&me, version).await?.value;
    let deployment = NewDeployment::parse(version.id, None, "prod".into())?;
    let deployment = alm.deployments().create(&me, deployment).await?.value;
    alm.deployments().set_status(&me, deployment.id, DeploymentStatus::Successful, &Precondition::none()).await?;

    // The consumers write the audit log, delete what has lost its parent, and deploy by themselves.
    alm.run(TokioTimer, tokio::time::sleep(Duration::from_millis(100))).await;
    for entry in alm.audit().list(&me, &AuditFilter::default(), None, Limit::default()).await?.items {
        println!("{} {:<17} by {}: {}", entry.index, entry.event_type, entry.actor, entry.payload);
    }
    Ok(())
}
