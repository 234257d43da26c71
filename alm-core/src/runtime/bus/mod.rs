mod relay;
pub use relay::Relay;
