//! The routes, one module per resource.

pub(crate) mod api_keys;
pub(crate) mod apps;
pub(crate) mod audit;
pub(crate) mod audit_tree;
pub(crate) mod deployments;
pub(crate) mod environments;
pub(crate) mod events;
pub(crate) mod login;
pub(crate) mod session;
pub(crate) mod users;
pub(crate) mod versions;
