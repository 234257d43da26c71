//! What came of all the cases.

use std::fmt;

/// What came of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// What must hold holds.
    Passed,
    /// The adapter can't do this by its own statement, and refuses as it should; names what it can't do.
    Unsupported(String),
    /// It does not hold; says why.
    Failed(String),
}

/// What came of all the cases, in their order. `Display` shows a table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Report {
    pub(super) rows: Vec<(&'static str, Verdict)>,
}

impl Report {
    /// The cases by name, each with its verdict.
    pub fn verdicts(&self) -> impl Iterator<Item = (&'static str, &Verdict)> {
        self.rows.iter().map(|(name, verdict)| (*name, verdict))
    }

    /// The names of those that failed.
    pub fn failed(&self) -> Vec<&'static str> {
        let failed = self.rows.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Failed(_)));
        failed.map(|(name, _)| *name).collect()
    }

    /// Passes when no case failed.
    ///
    /// # Panics
    /// Some did; shows the table.
    pub fn assert_passed(&self) {
        assert!(self.failed().is_empty(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, verdict) in &self.rows {
            match verdict {
                Verdict::Passed => writeln!(f, "{name:width$}  passed")?,
                Verdict::Unsupported(what) => writeln!(f, "{name:width$}  unsupported: {what}")?,
                Verdict::Failed(why) => writeln!(f, "{name:width$}  FAILED: {}", why.replace('\n', " "))?,
            }
        }
        let failed = self.failed().len();
        write!(f, "{} of {} cases failed", failed, self.rows.len())
    }
}
