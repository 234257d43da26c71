//! The commands, and what each takes.

#![expect(clippy::doc_markdown, reason = "these doc comments are the text of --help, which is not Markdown")]

use std::path::PathBuf;

use alm_core::{
    changeset::ConsumerName,
    domain::{Actor, Role},
    tlog::{KeyError, Verifier},
};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, error::ErrorKind};

use crate::settings::Settings;

/// The ALM server: applications, versions, deployments and their audit log, in one process or in several.
#[derive(Parser)]
#[command(
    name = "server",
    version,
    after_help = "\
Every setting is an environment variable and a flag of the same name; the flag wins. A setting that holds a secret or a key can be \
read from a file instead: JWT_SECRET_FILE, JWT_SECRET_PREVIOUS_FILE, JWT_PUBLIC_KEY_FILE, JWT_JWKS_CA_FILE, ADMIN_PASSWORD_FILE, DB_URL_FILE, NATS_URL_FILE, AUDIT_KEY_FILE.

Try it:
  cargo run --release --example server
  open http://127.0.0.1:8080/docs

A token for a script:
  export JWT_SECRET=$(openssl rand -base64 48)
  cargo run --release --example server -- token --sub ci --role user"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Bring the schema of the store up to date, then exit
    Migrate,
    /// Ask the server that runs on this machine with the same settings how it is. The exit status is 0 if it is well
    Health(HealthArgs),
    /// Print a token, signed with JWT_SECRET
    Token(TokenArgs),
    /// Show what consumers of events gave up on, or let them try again
    #[command(subcommand)]
    DeadLetters(LettersCommand),
    /// Check that the audit log is what was signed, export it, or make the key that it is signed with
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Look after the event log
    #[command(subcommand)]
    Log(LogCommand),
}

#[derive(Subcommand)]
pub(crate) enum LogCommand {
    /// Give the log another identity, once the store was restored from a backup, before the server is started on it
    #[command(after_help = "\
When: services run apart, and one of them was restored from a backup, or its database was taken over by a standby that was behind. Its log \
then gives positions again that the others remember, so they take what is new for what they know, and do not hear it. Under another \
identity it is heard.

Not when: every service runs in this one process, or the whole system was restored to one moment, stream of NATS included. It does \
no harm then.

Steps: stop every server on the store; restore; server log rotate; start. docs/backup-and-restore.md tells more.

Examples:
  server log rotate
  DB_URL=postgres://alm_owner:…@db.example.org/alm server log rotate --yes")]
    Rotate(RotateArgs),
}

#[derive(Args)]
pub(crate) struct RotateArgs {
    /// How many ids of apps, versions and deployments to pass over, each: more than were given since the backup, for others may know them
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000)]
    pub(crate) skip_ids: u32,
    /// A consumer that is not in use any more, so that it does not hold back where the log begins; may be given several times
    #[arg(long, value_name = "NAME", value_parser = consumer)]
    pub(crate) forget: Vec<ConsumerName>,
    /// Do it without asking
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Re-hash every entry and compare it with every checkpoint. Exit status: 0, all is as it was signed; 1, something was changed;
    /// 2, it can't be told
    #[command(after_help = "\
The log of a store is checked against the checkpoints that the store keeps, and against those given by --from, which must have left \
the store before: only they show that a log was not rolled back together with its checkpoints. An export is checked against those \
given by --from alone.

Examples:
  server audit verify
  server audit verify --from checkpoints.txt --public-key \"$KEY\"
  server audit export | server audit verify --export - --from checkpoints.txt --public-key \"$KEY\"")]
    Verify(VerifyArgs),
    /// Print every entry, the oldest first
    Export(ExportArgs),
    /// Print the public key by which others check what is signed, and below it those of AUDIT_EARLIER_KEYS
    PublicKey,
    /// Make a key for AUDIT_KEY and print it
    NewKey(NewKeyArgs),
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// A file with checkpoints that have left the store: what AUDIT_CHECKPOINT_FILE has, or answers of /audit/checkpoint one after the
    /// other
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
    /// The public key that checkpoints must be signed by; may be given several times. Unless given, that of this server
    #[arg(long, value_name = "KEY", value_parser = verifier)]
    pub(crate) public_key: Vec<Verifier>,
    /// Check this export (ndjson; -: standard input) and not the store
    #[arg(long, value_name = "FILE", requires = "from")]
    pub(crate) export: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct ExportArgs {
    /// How it is written: ndjson, a JSON object a line, just as it is hashed; or csv
    #[arg(long, value_name = "FORMAT", default_value = "ndjson")]
    pub(crate) format: ExportFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// A JSON object a line
    Ndjson,
    /// With a header; the payload is JSON
    Csv,
}

#[derive(Args)]
pub(crate) struct NewKeyArgs {
    /// The name of the log, such as audit.example.com: it belongs to this log alone and never changes
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Subcommand)]
pub(crate) enum LettersCommand {
    /// Print them, one JSON object a line
    List(WhichLetters),
    /// Handle them again, by the state as it is now; those that are handled are gone. It may run beside the server
    Retry(WhichLetters),
}

#[derive(Args)]
pub(crate) struct WhichLetters {
    /// Of one consumer only: audit, cascade, auto-deploy or relay
    #[arg(long, value_name = "NAME", value_parser = consumer)]
    pub(crate) consumer: Option<ConsumerName>,
    /// About the event at one position only
    #[arg(long, value_name = "NUMBER")]
    pub(crate) position: Option<u64>,
}

#[derive(Args)]
pub(crate) struct HealthArgs {
    /// Ask whether it is ready, too (/readyz), and not only whether it lives (/healthz)
    #[arg(long)]
    pub(crate) ready: bool,
}

#[derive(Args)]
pub(crate) struct TokenArgs {
    /// Who the token belongs to
    #[arg(long, value_name = "NAME", value_parser = actor)]
    pub(crate) sub: Actor,
    /// What it may do: admin, user, deployer, auditor or viewer
    #[arg(long, value_name = "ROLE", value_parser = role)]
    pub(crate) role: Role,
    /// What it may do besides, separated by spaces: service, and roles that are good in one place, such as deployer:7/prod
    #[arg(long, value_name = "SCOPES", default_value = "")]
    pub(crate) scope: String,
}

impl Cli {
    /// The command and the settings, from flags, environment and files.
    ///
    /// # Errors
    /// One of them is wrong, or help is asked for.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let mut cli = Self::try_parse()?;
        let wrong = |what: String| Self::command().error(ErrorKind::ValueValidation, what);
        cli.settings.complete(cli.command.is_none()).map_err(wrong)?;
        Ok(cli)
    }
}

pub(crate) fn verifier(key: &str) -> Result<Verifier, String> {
    key.parse().map_err(|error: KeyError| error.to_string())
}

fn consumer(name: &str) -> Result<ConsumerName, String> {
    ConsumerName::parse(name).map_err(|rejected| rejected.detail)
}

fn actor(name: &str) -> Result<Actor, String> {
    Actor::parse(name).map_err(|rejected| rejected.detail)
}

fn role(name: &str) -> Result<Role, String> {
    Role::parse(name).ok_or_else(|| format!("must be one of {}", Role::ALL.map(Role::as_str).join(", ")))
}
