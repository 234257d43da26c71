//! Ids for new resources, taken from the store in blocks: a changeset is complete before it is sent, and a create costs
//! no round trip of its own for its id.

use tokio::sync::Mutex;

use crate::ports::{Committer, Sequence, Store, StoreError};

// An unused rest of a block is lost at a restart, so a block is small beside 2⁶³ and large beside one request.
const BLOCK: u32 = 64;

#[derive(Default)]
pub(super) struct IdPool {
    apps: Mutex<Rest>,
    versions: Mutex<Rest>,
    deployments: Mutex<Rest>,
}

#[derive(Default)]
struct Rest {
    next: i64,
    left: u32,
}

impl IdPool {
    pub(super) async fn take(&self, store: &dyn Store, sequence: Sequence) -> Result<i64, StoreError> {
        let mut rest = match sequence {
            Sequence::Apps => &self.apps,
            Sequence::Versions => &self.versions,
            Sequence::Deployments => &self.deployments,
        }
        .lock()
        .await;
        if rest.left == 0 {
            let block = Committer::allocate(store, sequence, BLOCK).await?;
            *rest = Rest { next: block.first, left: block.count };
        }
        let id = rest.next;
        rest.next += 1;
        rest.left -= 1;
        Ok(id)
    }
}
