//! The example server: every service in one process on an embedded store, or each a process of its own.
//!
//! `cargo run --release --example server -- --help` lists the settings.

mod audit;
mod certificate;
mod commands;
#[cfg(feature = "failpoints")]
mod failpoint;
mod gateway;
mod health;
mod letters;
mod rotate;
mod run;
mod services;
mod settings;
#[cfg(feature = "otlp")]
mod spans;
mod storage;
mod telemetry;
mod token;

use std::{error::Error, process::ExitCode};

use clap::error::ErrorKind;

use commands::{Cli, Command, LogCommand};
use settings::Settings;

/// A request makes many small allocations on any of the threads and frees them soon.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let done = match &cli.command {
        None => run::serve(&cli.settings),
        Some(Command::Migrate) => migrate(&cli.settings),
        Some(Command::Health(args)) => health::ask(&cli.settings, args),
        Some(Command::DeadLetters(command)) => letters::run(&cli.settings, command),
        Some(Command::Audit(command)) => return audit::run(&cli.settings, command),
        Some(Command::Log(LogCommand::Rotate(args))) => rotate::run(&cli.settings, args),
        Some(Command::Token(args)) => token::print(&cli.settings, args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn migrate(settings: &Settings) -> Result<(), Box<dyn Error>> {
    println!("{}", storage::migrate(&settings.db_url).await?);
    Ok(())
}

/// Help goes out as it is; anything else is one line that says what to mend.
fn refuse(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // Nothing is left to say to a reader who has gone.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let lines =
        text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    eprintln!("{}", lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" "));
    ExitCode::from(2)
}
