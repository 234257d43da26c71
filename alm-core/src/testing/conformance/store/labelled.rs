//! Labels of every kind, and what to look for in them.

use std::collections::BTreeMap;

use crate::{domain::Labels, ports::LabelFilter, testing::fixtures::labels};

/// Characters that stores, their drivers and their languages have trouble with; no NUL.
pub(super) const ODD: &str =
    "\u{1f469}\u{200d}\u{1f680} \u{202e}x\u{301} ﷽ \u{10ffff}\u{feff} \\u0000 %_?$1:a\r\n\t '; DROP TABLE apps; -- \"";

/// Labels that are easily taken for one another.
pub(super) fn all_labels() -> Vec<Labels> {
    vec![
        Labels::default(),
        labels(&[("team", "core")]),
        labels(&[("team", "core"), ("tier", "1")]),
        labels(&[("team", "core"), ("tier", "2")]),
        labels(&[("team", "Core")]),
        labels(&[("Team", "core")]),
        labels(&[("team", "core ")]),
        labels(&[("team", "")]),
        labels(&[("team", "null")]),
        labels(&[("tier", "core")]),
        labels(&[("core", "team")]),
        labels(&[("$.team", "core"), ("a.b", "c"), ("[0]", "c")]),
        labels(&[("a", "{\"b\":\"c\"}")]),
        labels(&[("it's", "'"), ("\"quoted\"", "\""), ("back\\slash", "\\\\")]),
        labels(&[("100%", "a_c"), ("_", "%")]),
        labels(&[("100%", "abc"), ("x", "%")]),
        labels(&[("ключ", "значение \u{1f680}"), ("é", "composed")]),
        labels(&[("e\u{301}", "composed")]),
        labels(&[("odd", ODD)]),
        longest(),
    ]
}

/// As many and as long ones as there can be.
pub(super) fn longest() -> Labels {
    let pair = |n| (format!("{n:0>3}{}", "ключ".repeat(15)), "\u{1f680}".repeat(256));
    Labels::parse((0..64).map(pair).collect::<BTreeMap<_, _>>()).expect("labels")
}

fn wanted(pairs: &[(&str, &str)]) -> Vec<LabelFilter> {
    pairs.iter().map(|(key, value)| LabelFilter { key: (*key).to_owned(), value: (*value).to_owned() }).collect()
}

/// What to look for in [`all_labels`]; some of it is nowhere.
pub(super) fn label_filters() -> Vec<Vec<LabelFilter>> {
    let mut filters = vec![
        wanted(&[]),
        wanted(&[("team", "core"), ("tier", "1")]),
        wanted(&[("tier", "1"), ("team", "core")]),
        wanted(&[("team", "core"), ("team", "core")]),
        wanted(&[("team", "core"), ("team", "Core")]),
        wanted(&[("team", "core"), ("tier", "core")]),
        wanted(&[("it's", "'"), ("\"quoted\"", "\""), ("back\\slash", "\\\\")]),
        wanted(&[("team", "%")]),
        wanted(&[("team", "co_e")]),
        wanted(&[("team", "cor*")]),
        wanted(&[("%", "core")]),
        wanted(&[("te", "core")]),
        wanted(&[("a.b", "{}")]),
        wanted(&[("a", "c")]),
        // No label can be like these, and yet someone may look for them.
        wanted(&[("", "")]),
        wanted(&[("team=core", "")]),
        wanted(&[("team", "core\0")]),
        wanted(&[("\0", "core")]),
    ];
    for labels in all_labels() {
        for (key, value) in labels.iter().take(3) {
            filters.push(wanted(&[(key, value)]));
            filters.push(wanted(&[(key, "another")]));
        }
        filters.push(wanted(&labels.iter().collect::<Vec<_>>()));
    }
    filters
}
