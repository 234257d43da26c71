//! Roles: what one process at a time does for a store.

use async_trait::async_trait;

use crate::changeset::ConsumerName;

use super::StoreError;

/// Roles of which each has one holder at a time, among all handles on the store in all processes: the relay to the bus is one.
///
/// It is a trait of its own because a role is no part of the state: nothing of it is committed, and nothing survives its holder.
/// A role keeps two processes from doing the same work, and is no lock: whoever was cut off from the store may work on for a
/// moment while another has begun. So what is done in a role must bear to be done twice.
#[async_trait]
pub trait Roles: Send + Sync {
    /// Takes the role of this name for as long as the lease lives, or gives `None` when someone has it, by whichever handle.
    ///
    /// # Contract
    /// - One at a time has it. Checked by `of_many_who_want_a_role_one_gets_it`, `a_role_is_held_among_all_handles`.
    /// - It is free soon after its lease was dropped; when its holder's process has died, within five seconds, also when it had no
    ///   time to say so. Checked by `a_role_is_free_when_its_lease_is_dropped`, `a_role_is_free_after_a_restart`.
    /// - Each name is a role of its own. Checked by `roles_of_different_names_do_not_mix`.
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] of a store that lends no roles, else only [`StoreError::Backend`].
    async fn lead(&self, role: &ConsumerName) -> Result<Option<Box<dyn Lease>>, StoreError>;
}

/// A role, held until this is dropped or lost.
#[async_trait]
pub trait Lease: Send + Sync {
    /// Asks the store whether the role is still held: `false` for ever once it was lost, and when the store can't be asked. Whoever
    /// hears that should stop and [take](Roles::lead) the role again.
    ///
    /// # Contract
    /// It is held as long as nothing has happened to it, however often it is asked and others try to take it. Checked by
    /// `a_lease_is_held_until_it_is_dropped`.
    async fn is_held(&mut self) -> bool;
}
