//! The subcommand `dead-letters`: what consumers gave up on, and another try.

use std::{error::Error, io::Write};

use alm_core::{
    Alm,
    changeset::{ConsumerName, DeadLetter},
    domain::Services,
    runtime::Retried,
};
use serde_json::json;

use crate::{
    commands::{LettersCommand, WhichLetters},
    services::{built, connected, given_jwt},
    settings::{Runs, Settings},
    storage::Storage,
};

const PAGE: usize = 100;

/// Lists or retries. An error when a letter is left that was to be retried.
#[tokio::main]
pub(crate) async fn run(settings: &Settings, command: &LettersCommand) -> Result<(), Box<dyn Error>> {
    let Runs::Services(services) = settings.services else {
        return Err("SERVICES: a gateway has no consumers, so no dead letters".into());
    };
    let storage = Storage::open(settings).await?;
    let done = match command {
        LettersCommand::List(which) => list(&offline(settings, services, &storage), which).await,
        LettersCommand::Retry(which) => retry(settings, services, &storage, which).await,
    };
    storage.close().await;
    done
}

fn offline(settings: &Settings, services: Services, storage: &Storage) -> Alm {
    built(settings, services, storage, None, None).build()
}

/// One JSON object a line, so that it can be filtered.
async fn list(alm: &Alm, which: &WhichLetters) -> Result<(), Box<dyn Error>> {
    let found = letters(alm, which).await?;
    let mut out = std::io::stdout().lock();
    for letter in found {
        let line = json!({
            "consumer": letter.consumer, "log": letter.log, "position": letter.position, "event_id": letter.event_id,
            "at": letter.at, "reason": letter.reason, "event": letter.document,
        });
        // Whoever reads may have enough.
        if writeln!(out, "{line}").is_err() {
            break;
        }
    }
    Ok(())
}

async fn retry(
    settings: &Settings,
    services: Services,
    storage: &Storage,
    which: &WhichLetters,
) -> Result<(), Box<dyn Error>> {
    let jwt = given_jwt(settings)?.map(std::sync::Arc::new);
    let bus = connected(settings).await?;
    let alm = built(settings, services, storage, jwt.as_ref(), bus.clone()).build();
    let (mut handled, mut left) = (0_usize, 0_usize);
    let found = letters(&alm, which).await?;
    for letter in found {
        let name = format!("{} {} {}", letter.consumer, letter.log, letter.position);
        match alm.retry(&letter).await {
            Ok(Retried::Handled) => {
                handled += 1;
                println!("handled {name}");
            }
            Ok(Retried::Gone) => println!("gone    {name}: someone else was faster"),
            Ok(Retried::Refused(reason)) => {
                left += 1;
                println!("refused {name}: {reason}");
            }
            Err(error) => {
                left += 1;
                println!("failed  {name}: {error}");
            }
        }
    }
    if let Some(bus) = bus {
        bus.close().await;
    }
    println!("{handled} handled, {left} left");
    if left > 0 { Err("some letters are left".into()) } else { Ok(()) }
}

async fn letters(alm: &Alm, which: &WhichLetters) -> Result<Vec<DeadLetter>, Box<dyn Error>> {
    let mut consumers = alm.consumers();
    // Without a bus there is no relay here, but its letters may be.
    let relay = ConsumerName::parse("relay")?;
    if !consumers.contains(&relay) {
        consumers.push(relay);
    }
    if let Some(wanted) = &which.consumer {
        if !consumers.contains(wanted) {
            let names: Vec<_> = consumers.iter().map(ConsumerName::as_str).collect();
            return Err(format!("--consumer: there is no '{wanted}' here; there are {}", names.join(", ")).into());
        }
        consumers.retain(|consumer| consumer == wanted);
    }
    let mut found = Vec::new();
    for consumer in consumers {
        let mut after = None;
        loop {
            let page = alm.dead_letters(&consumer, after, PAGE).await?;
            after = page.last().map(|letter| (letter.log, letter.position));
            let is_last = page.len() < PAGE;
            found.extend(page.into_iter().filter(|letter| which.position.is_none_or(|p| letter.position.get() == p)));
            if is_last {
                break;
            }
        }
    }
    Ok(found)
}
