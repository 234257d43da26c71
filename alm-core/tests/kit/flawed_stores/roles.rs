//! Roles, and what goes wrong with them.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use alm_core::{
    changeset::ConsumerName,
    ports::{Lease, Roles, StoreError},
};
use async_trait::async_trait;

use super::{commit::Flawed, defect::Defect};

/// Roles that someone has.
pub(super) type Taken = Mutex<BTreeSet<ConsumerName>>;

#[async_trait]
impl Roles for Flawed {
    async fn lead(&self, role: &ConsumerName) -> Result<Option<Box<dyn Lease>>, StoreError> {
        let taken = if self.defect == Defect::HandlesLendRoles { &self.taken } else { &self.disk.taken };
        let role = match self.defect {
            Defect::MixesRoles => ConsumerName::parse("the-one").expect("a name"),
            _ => role.clone(),
        };
        let is_free = taken.lock().unwrap_or_else(PoisonError::into_inner).insert(role.clone());
        if !is_free && self.defect != Defect::LendsARoleTwice {
            return Ok(None);
        }
        Ok(Some(Box::new(Held { role, taken: taken.clone(), defect: self.defect, asked: 0 })))
    }
}

struct Held {
    role: ConsumerName,
    taken: Arc<Taken>,
    defect: Defect,
    asked: u32,
}

#[async_trait]
impl Lease for Held {
    async fn is_held(&mut self) -> bool {
        self.asked += 1;
        self.asked == 1 || self.defect != Defect::LosesALease
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.defect != Defect::KeepsRolesForEver {
            self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.role);
        }
    }
}
