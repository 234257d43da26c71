//! Several services, each with a store of its own: what one does the others hear of, whatever becomes of the messages.

mod hearing;
mod parents;
mod restored;
mod roles;
mod room;
pub(crate) mod system;
mod trouble;
