use std::fmt::Write as _;

use alm_core::{domain::Role, policy::Action};

/// The table of `docs/permissions.md`, made of the one that the code goes by.
fn table() -> String {
    let names = Role::ALL.map(|role| format!("`{role}`"));
    let mut table =
        format!("| operation | {} | who else |\n|---|{}---|\n", names.join(" | "), ":---:|".repeat(names.len()));
    for action in Action::ALL {
        let rule = action.rule();
        let marks = Role::ALL.map(|role| if rule.roles.contains(&role) { "✓" } else { "" });
        let mut who = Vec::from_iter(rule.public.then(|| "anyone, without a token too".to_owned()));
        who.extend(rule.scope.map(|scope| format!("scope `{scope}`")));
        who.extend(rule.own.then(|| "the account itself".to_owned()));
        writeln!(table, "| `{action}` | {} | {} |", marks.join(" | "), who.join(", ")).unwrap();
    }
    table
}

#[test]
fn the_docs_have_the_table_that_the_code_goes_by() {
    let docs = include_str!("../../docs/permissions.md");
    assert!(docs.contains(&table()), "docs/permissions.md must have this table:\n\n{}", table());
}
