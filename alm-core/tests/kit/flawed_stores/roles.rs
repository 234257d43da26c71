//! Roles, and what goes wrong with them.

use std::sync::{Arc, PoisonError};

use alm_core::{
    changeset::ConsumerName,
    ports::{Lease, Roles, StoreError},
};
use async_trait::async_trait;

use super::{commit::Flawed, disk::Disk};

#[async_trait]
impl Roles for Flawed {
    async fn lead(&self, role: &ConsumerName) -> Result<Option<Box<dyn Lease>>, StoreError> {
        if !self.disk.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(role.clone()) {
            return Ok(None);
        }
        Ok(Some(Box::new(Held { role: role.clone(), disk: self.disk.clone() })))
    }
}

struct Held {
    role: ConsumerName,
    disk: Arc<Disk>,
}

#[async_trait]
impl Lease for Held {
    async fn is_held(&mut self) -> bool {
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.disk.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.role);
    }
}
