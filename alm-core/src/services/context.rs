//! Who calls, and what belongs to the call.

use std::net::IpAddr;

use crate::{
    changeset::{Fingerprint, IdempotencyKey},
    domain::{Actor, TraceParent},
    policy::Principal,
};

/// Who makes a call, and what belongs to it. Every use case takes one.
#[derive(Clone, Debug, Default)]
pub struct Context {
    principal: Option<Principal>,
    request_id: Option<String>,
    trace: Option<TraceParent>,
    idempotency: Option<Idempotency>,
    address: Option<IpAddr>,
}

/// With which key a request was sent, and what it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The key.
    pub key: IdempotencyKey,
    /// A hash of the request, not made of a password.
    pub fingerprint: Fingerprint,
}

impl Context {
    /// A call by `principal`.
    pub fn new(principal: Principal) -> Self {
        Self { principal: Some(principal), ..Self::default() }
    }

    /// The same call by `principal`.
    #[must_use]
    pub(crate) fn with_principal(mut self, principal: Principal) -> Self {
        self.principal = Some(principal);
        self
    }

    /// A call by someone who has not said who they are.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// The same call under this request id, which the logs then show.
    #[must_use]
    pub fn with_request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// The same call in this trace, which its events then carry.
    #[must_use]
    pub fn with_trace(mut self, trace: impl Into<Option<TraceParent>>) -> Self {
        self.trace = trace.into();
        self
    }

    /// The same call under an idempotency key: sent again, it gets the first answer again.
    #[must_use]
    pub fn with_idempotency(mut self, idempotency: impl Into<Option<Idempotency>>) -> Self {
        self.idempotency = idempotency.into();
        self
    }

    /// The same call from this address, by which log-ins are counted.
    #[must_use]
    pub fn with_address(mut self, address: impl Into<Option<IpAddr>>) -> Self {
        self.address = address.into();
        self
    }

    /// Who calls.
    pub fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    /// The request id.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The trace.
    pub fn trace(&self) -> Option<&TraceParent> {
        self.trace.as_ref()
    }

    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    pub(crate) fn idempotency(&self) -> Option<&Idempotency> {
        self.idempotency.as_ref()
    }

    pub(crate) fn actor(&self) -> Actor {
        self.principal.as_ref().map_or_else(Actor::anonymous, |principal| principal.name.clone())
    }
}
