//! The audit log: the key that it is signed with, and the subcommand `audit`.

mod export;
pub(crate) mod key;
mod verify;
pub(crate) mod watch;

use std::{error::Error, io::Write as _, process::ExitCode};

use crate::{commands::AuditCommand, settings::Settings};

/// It can't be told, or not be done.
const UNREADABLE: u8 = 2;

/// Does it; the exit status is that of [`AuditCommand::Verify`], and 2 for an error of the others, too.
#[tokio::main]
pub(crate) async fn run(settings: &Settings, command: &AuditCommand) -> ExitCode {
    let done = match command {
        AuditCommand::Verify(args) => verify::run(settings, args).await,
        AuditCommand::Export(args) => export::run(settings, args.format).await.map(|()| ExitCode::SUCCESS),
        AuditCommand::PublicKey => public_keys(settings).map(|()| ExitCode::SUCCESS),
        AuditCommand::NewKey(args) => key::made(&args.name).map(|key| {
            say(&key);
            ExitCode::SUCCESS
        }),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(UNREADABLE)
    })
}

/// That in use, and those before.
fn public_keys(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let keys = key::verifiers(settings)?;
    if keys.is_empty() {
        return Err("AUDIT_KEY is not set, and no key is kept beside the database".into());
    }
    for key in &keys {
        say(&key.to_string());
    }
    Ok(())
}

/// Prints a line. Whoever reads may have enough.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
