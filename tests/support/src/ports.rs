//! Ports on which no one listens.

use std::sync::atomic::{AtomicU16, Ordering};

/// Below those that the system gives to clients.
const PORTS: std::ops::Range<u16> = 14_222..30_000;

/// An address of this machine and a port of it, where no one listens and no one else of the tests will.
pub fn free_port() -> (String, u16) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // All of 127.0.0.0/8 is loopback. A process has an id of at most 22 bits, by which it is told from others.
    let process = std::process::id();
    let address = format!("127.{}.{}.{}", process >> 16, process >> 8 & 255, process & 255);
    let nth = NEXT.fetch_add(1, Ordering::Relaxed);
    // A process that lives so long that it comes round has let go of the first ones.
    (address, PORTS.start + nth % (PORTS.end - PORTS.start))
}
