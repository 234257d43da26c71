//! Sessions and API keys: what counts, and from when on it does not.

mod api_keys;
mod elsewhere;
mod ending;
mod given;
mod model;
mod refreshing;
mod throttle;
