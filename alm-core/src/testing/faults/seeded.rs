//! Faults by chance, the same for the same seed.

use std::fmt;

use super::{Call, Fault, Plan};

/// Faults by chance. What becomes of a call follows from the seed and the [number](Call::number) of the call, so a run in which
/// the calls come in the same order meets the same faults. Its `Display` tells the seed: put it into the message of an
/// assertion.
///
/// ```
/// use std::sync::Arc;
/// use alm_core::{Alm, Context, Principal, domain::NewApp, ports::{AppFilter, BackendErrorKind, Outcome, Reader}};
/// use alm_core::testing::{Fault, Faulty, Seeded};
/// use alm_store_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// for seed in 0..20 {
///     let dice = Seeded::new(seed, [(Fault::Refused(BackendErrorKind::Unavailable), 200), (Fault::Delay(2), 300)]);
///     let told = dice.to_string();
///     let store = Arc::new(MemoryStore::new());
///     let alm = Alm::builder(Arc::new(Faulty::over(store.clone(), dice))).build();
///     let new = NewApp::parse("billing".into(), String::new(), Default::default())?;
///     let created = alm.apps().create(&Context::new(Principal::system()), new).await;
///     let there = store.apps(&AppFilter::default(), None, 10).await?;
///     assert_eq!(there.len(), usize::from(created.is_ok()), "{told}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Seeded {
    seed: u64,
    rates: Vec<(Fault, u16)>,
}

impl Seeded {
    /// Each fault is met by so many calls of a thousand, on average.
    ///
    /// # Panics
    /// The rates add up to more than 1000.
    pub fn new(seed: u64, rates: impl IntoIterator<Item = (Fault, u16)>) -> Self {
        let rates: Vec<_> = rates.into_iter().collect();
        let sum: u32 = rates.iter().map(|(_, rate)| u32::from(*rate)).sum();
        assert!(sum <= 1000, "the rates are per mille and add up to {sum}");
        Self { seed, rates }
    }

    /// What it was made with.
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

impl Plan for Seeded {
    fn fault(&self, call: &Call<'_>) -> Fault {
        let mut left = split_mix(self.seed, call.number) % 1000;
        for (fault, rate) in &self.rates {
            match left.checked_sub(u64::from(*rate)) {
                Some(rest) => left = rest,
                None => return fault.clone(),
            }
        }
        Fault::None
    }
}

impl fmt::Display for Seeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faults with seed {}", self.seed)?;
        self.rates.iter().try_for_each(|(fault, rate)| write!(f, ", {rate}\u{2030} {fault:?}"))
    }
}

/// The number at `index` of the `SplitMix64` sequence that begins with `seed`.
fn split_mix(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
