//! Pauses between tries.

use std::time::Duration;

/// Before the try after the `failed`th, counted from zero: any time from nothing to `base` doubled so often, but at most `cap`.
///
/// All of it is random ("full jitter"), so that those who failed together do not come again together.
pub(crate) fn full_jitter(base: Duration, cap: Duration, failed: u32) -> Duration {
    let most = base.saturating_mul(2_u32.saturating_pow(failed)).min(cap);
    let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(fastrand::u64(0..=micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_anything_up_to_what_doubles_and_is_capped() {
        let (base, cap) = (Duration::from_millis(10), Duration::from_millis(70));
        for (failed, most) in [(0, 10), (1, 20), (2, 40), (3, 70), (40, 70), (u32::MAX, 70)] {
            let pauses: Vec<_> = (0..2000).map(|_| full_jitter(base, cap, failed).as_millis()).collect();
            assert!(pauses.iter().all(|pause| *pause <= most), "{failed}");
            assert!(pauses.iter().any(|pause| *pause < most / 4), "{failed}: it is jitter from zero on");
            assert!(pauses.iter().any(|pause| *pause > most * 3 / 4), "{failed}");
        }
    }
}
