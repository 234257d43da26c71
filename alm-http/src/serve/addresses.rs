//! How many connections each address has.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alm_core::services::network;

use crate::TrustedProxies;

/// Counts connections by address. IPv6 addresses count by their /64, which one host has for itself.
#[derive(Clone)]
pub(super) struct Addresses {
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
    most: usize,
    /// Many come by way of each of them.
    exempt: TrustedProxies,
}

/// One of the connections of an address, until it is dropped.
pub(super) struct Entered {
    by: Option<IpAddr>,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Addresses {
    pub(super) fn new(most: usize, exempt: TrustedProxies) -> Self {
        Self { open: Arc::default(), most: most.max(1), exempt }
    }

    /// Another one, unless the address has as many as it may.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Entered> {
        let open = Arc::clone(&self.open);
        if self.exempt.contains(address) {
            return Some(Entered { by: None, open });
        }
        let network = network(address);
        let mut counts = lock(&self.open);
        let count = counts.entry(network).or_insert(0);
        // An entry that is new has room, so none is left empty.
        (*count < self.most).then(|| {
            *count += 1;
            Entered { by: Some(network), open }
        })
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let Some(network) = self.by else { return };
        let mut counts = lock(&self.open);
        if let Some(count) = counts.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&network);
            }
        }
    }
}

fn lock(counts: &Mutex<HashMap<IpAddr, usize>>) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
    // Nothing panics while it is held.
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_and_gives_them_back() {
        let addresses = Addresses::new(2, "10.0.0.0/8".parse().unwrap());
        let enter = |address: &str| addresses.enter(address.parse().unwrap());
        let first = (enter("192.0.2.1").unwrap(), enter("::ffff:192.0.2.1").unwrap());
        assert!(enter("192.0.2.1").is_none());
        let others = (enter("192.0.2.2").unwrap(), enter("2001:db8::1").unwrap(), enter("2001:db8::2").unwrap());
        assert!(enter("2001:db8::ffff").is_none() && enter("2001:db8:0:1::1").is_some());
        let proxied: Vec<_> = (0..100).map(|_| enter("10.0.0.1").unwrap()).collect();
        drop(first.0);
        let again = enter("192.0.2.1").unwrap();
        assert!(enter("192.0.2.1").is_none());
        drop((first.1, others, proxied, again));
        assert!(lock(&addresses.open).is_empty(), "addresses that have gone are forgotten");
    }
}
