//! For crash tests: ends the process at a named point.
//!
//! The points are trace events that have a name of their own, at the steps between which a crash must not tear anything. To
//! whoever does not build the server with the feature `failpoints` they are nothing else.

use std::{
    env, process,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::{
    Layer,
    filter::{Filtered, filter_fn},
    layer::Context,
    registry::LookupSpan,
};

/// `NAME:TIMES`: the process ends when it comes to the point of that name for the so-manieth time.
const SETTING: &str = "ALM_FAILPOINT";

/// How long the thread that has come to the point stands there until the process ends.
const MOMENT: Duration = Duration::from_millis(20);

struct Failpoint {
    name: &'static str,
    left: AtomicU64,
}

/// The point that the environment names, if it names one.
pub(crate) fn armed<S>() -> Result<Option<impl Layer<S>>, String>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let Ok(setting) = env::var(SETTING) else { return Ok(None) };
    let parsed = setting.split_once(':').and_then(|(name, times)| Some((name.to_owned(), times.parse().ok()?)));
    let (name, times) = parsed.ok_or_else(|| format!("{SETTING}: it must be NAME:TIMES"))?;
    // There is one for as long as the process lives.
    let name: &'static str = name.leak();
    let failpoint = Failpoint { name, left: AtomicU64::new(times) };
    let at_point = filter_fn(move |metadata: &Metadata<'_>| metadata.is_event() && metadata.name() == name);
    let layer: Filtered<_, _, S> = failpoint.with_filter(at_point);
    Ok(Some(layer))
}

impl<S: Subscriber> Layer<S> for Failpoint {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            // The other threads go on: whatever they tell before its time is told.
            thread::sleep(MOMENT);
            eprintln!("{SETTING}: ended at {}", self.name);
            process::abort();
        }
    }
}
