//! What a case demands of an answer, with a message that says what went wrong.

use std::error::Error;

/// Demands on a [`Result`].
pub(super) trait Must<T, E> {
    /// The value, of a call that must succeed.
    fn must(self, what: &str) -> T;

    /// The error, of a call that must be refused.
    fn must_fail(self, what: &str) -> E;
}

impl<T, E: Error> Must<T, E> for Result<T, E> {
    #[track_caller]
    fn must(self, what: &str) -> T {
        match self {
            Ok(value) => value,
            Err(error) => panic!("it must be possible to {what}, but: {}", chain(&error)),
        }
    }

    #[track_caller]
    fn must_fail(self, what: &str) -> E {
        match self {
            Ok(_) => panic!("it must not be possible to {what}"),
            Err(error) => error,
        }
    }
}

fn chain(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        message.push_str(": ");
        message.push_str(&error.to_string());
        source = error.source();
    }
    message
}
