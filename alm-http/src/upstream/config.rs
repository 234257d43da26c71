//! How patient one is with other services.

use std::time::Duration;

/// Bounds on calls to one service.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UpstreamConfig {
    /// How long it may take to look the host up and connect.
    pub connect_timeout: Duration,
    /// How long the header of the answer may take, once nothing more of the request goes out.
    pub answer_timeout: Duration,
    /// How long the body of an answer may pause. Streams of events may for ever.
    pub pause_timeout: Duration,
    /// How many connections that no one uses are kept.
    pub max_idle: usize,
    /// How long one that no one uses is kept. It must be less than the service waits, which would else close it just as the
    /// next request goes out; [`ServeConfig`](crate::serve::ServeConfig) waits 10 s.
    pub idle_timeout: Duration,
    /// Of how many calls in a row one half must fail for the circuit to open.
    pub circuit_window: usize,
    /// How long an open circuit refuses calls before it lets some try.
    pub circuit_pause: Duration,
}

impl Default for UpstreamConfig {
    /// 1 s to connect, 30 s for the header of an answer and for a pause in its body, 64 idle connections for 5 s, and a circuit
    /// that opens for 3 s when half of 20 calls fail.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            answer_timeout: Duration::from_secs(30),
            pause_timeout: Duration::from_secs(30),
            max_idle: 64,
            idle_timeout: Duration::from_secs(5),
            circuit_window: 20,
            circuit_pause: Duration::from_secs(3),
        }
    }
}

impl UpstreamConfig {
    /// Sets how long it may take to connect.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long the header of an answer may take.
    #[must_use]
    pub fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout;
        self
    }

    /// Sets how long the body of an answer may pause.
    #[must_use]
    pub fn pause_timeout(mut self, timeout: Duration) -> Self {
        self.pause_timeout = timeout;
        self
    }

    /// Sets how many connections that no one uses are kept.
    #[must_use]
    pub fn max_idle(mut self, connections: usize) -> Self {
        self.max_idle = connections;
        self
    }

    /// Sets how long a connection that no one uses is kept.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets of how many calls in a row, at least one, a half must fail for the circuit to open.
    #[must_use]
    pub fn circuit_window(mut self, calls: usize) -> Self {
        self.circuit_window = calls;
        self
    }

    /// Sets how long an open circuit refuses calls.
    #[must_use]
    pub fn circuit_pause(mut self, pause: Duration) -> Self {
        self.circuit_pause = pause;
        self
    }
}
