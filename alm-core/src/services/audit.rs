//! Use cases of the audit log: it is only read here, the audit consumer writes it.

use crate::{
    domain::{AuditEntry, AuditIndex, Subject},
    policy::Action,
    ports::AuditFilter,
};

use super::{Alm, Context, Error, Limit, Page};

/// The audit log. Got from [`Alm::audit`].
#[derive(Clone, Copy, Debug)]
pub struct Audit<'a>(pub(super) &'a Alm);

impl Audit<'_> {
    /// The entry at this index, `None` when the log does not reach that far.
    ///
    /// # Errors
    /// Those of every use case.
    pub async fn get(&self, cx: &Context, index: AuditIndex) -> Result<Option<AuditEntry>, Error> {
        self.0.authorize(cx, Action::GetAuditEntry, Subject::Audit).await?;
        Ok(self.0.inner.store.audit_entry(index).await?)
    }

    /// What shows that no entry was changed.
    #[cfg(feature = "tlog")]
    pub fn tree(&self) -> super::Proofs<'_> {
        super::Proofs(self.0)
    }

    /// Entries, oldest first.
    ///
    /// # Errors
    /// Those of every use case.
    pub async fn list(
        &self,
        cx: &Context,
        filter: &AuditFilter,
        after: Option<AuditIndex>,
        limit: Limit,
    ) -> Result<Page<AuditEntry, AuditIndex>, Error> {
        self.0.authorize(cx, Action::ListAuditEntries, Subject::Audit).await?;
        let entries = self.0.inner.store.audit_entries(filter, after, limit.and_one_more()).await?;
        Ok(Page::of(entries, limit, |entry| entry.index))
    }
}
