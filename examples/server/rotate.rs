//! The subcommand `log rotate`: another identity for a log that was restored from a backup.

use std::{
    error::Error,
    io::{self, IsTerminal as _, Write as _},
};

use alm_core::{
    changeset::ConsumerName,
    domain::Position,
    ports::{Rotated, Rotation},
};

use crate::{
    commands::RotateArgs,
    settings::{Runs, Settings},
    storage::{self, DbUrl},
};

/// Tells what it would do, and does it when that is wanted.
#[tokio::main]
pub(crate) async fn run(settings: &Settings, args: &RotateArgs) -> Result<(), Box<dyn Error>> {
    if settings.services == Runs::Gateway {
        return Err("SERVICES: a gateway has no log".into());
    }
    let rotation = Rotation { skip_ids: args.skip_ids, forget: args.forget.clone(), is_trial: true };
    let plan = storage::rotate_log(&settings.db_url, &rotation).await?;
    check(&plan, &args.forget)?;
    tell(&settings.db_url, &plan, &rotation);
    if !args.yes && !is_wanted()? {
        return Err("nothing was changed".into());
    }
    let done = storage::rotate_log(&settings.db_url, &Rotation { is_trial: false, ..rotation }).await?;
    println!(
        "
Done. The old identity was {}, the new one is {}, and the log begins at position {}.
Next: start the server. The other services hear of the new log by themselves; what they still know of what was lost, and what else to
look after, stands in docs/backup-and-restore.md.",
        done.old, done.new, done.oldest
    );
    Ok(())
}

/// A name that is mistyped must not be passed over.
fn check(plan: &Rotated, forget: &[ConsumerName]) -> Result<(), Box<dyn Error>> {
    let names: Vec<_> = plan.consumers.iter().map(|(name, _)| name).collect();
    let is_known = |name: &ConsumerName| names.contains(&name) || *name == ConsumerName::relay();
    match forget.iter().find(|name| !is_known(name)) {
        None => Ok(()),
        Some(unknown) => {
            let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
            Err(format!("--forget: no consumer '{unknown}' has read this log; there are: {}", names.join(", ")).into())
        }
    }
}

fn tell(store: &DbUrl, plan: &Rotated, rotation: &Rotation) {
    println!("{store}: the log {} ends at position {}. Its consumers have handled:", plan.old, plan.head);
    for (name, position) in &plan.consumers {
        let note = if rotation.forget.contains(name) { "   (to be forgotten)" } else { "" };
        println!("  {:<12} {position}{note}", name.as_str());
    }
    if plan.consumers.is_empty() {
        println!("  nothing, as there are none");
    }
    println!(
        "It gets another identity and begins at position {}: what stands before that goes. Of apps, versions and deployments {} ids each are
passed over.",
        plan.oldest, rotation.skip_ids
    );
    let relay = ConsumerName::relay();
    if rotation.forget.contains(&relay) {
        return;
    }
    match plan.consumers.iter().find(|(name, _)| *name == relay) {
        Some((_, told)) if *told >= plan.oldest => println!("{}", twice(plan.oldest, *told)),
        Some(_) => {}
        None => println!(
            "There is no relay among them, so nothing was told to other services yet: they will hear all of it. If that is known to be wrong, say \
             --forget relay."
        ),
    }
}

/// What others have heard already and will hear under the new identity, too.
fn twice(oldest: Position, told: Position) -> String {
    format!(
        "\
Positions {oldest} to {told} other services were told already, and will be told again: their audit log may get these entries twice. If that \
is because of a consumer that is not in use any more, name it with --forget."
    )
}

fn is_wanted() -> io::Result<bool> {
    if !io::stdin().is_terminal() {
        let why = "this is no terminal to ask on: say --yes to do it; nothing was changed";
        return Err(io::Error::new(io::ErrorKind::Unsupported, why));
    }
    print!("No server may work on this store. Rotate? [y/N] ");
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
