//! The subcommand `token`.

use std::error::Error;

use alm_core::{
    Principal,
    ports::{Clock, Ids, SystemClock, SystemIds, TokenClaims, TokenIssuer},
};
use alm_http::auth::Jwt;

use crate::{commands::TokenArgs, settings::Settings, storage::Kept};

/// Prints a token.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn print(settings: &Settings, args: &TokenArgs) -> Result<(), Box<dyn Error>> {
    let secret = match &settings.jwt_secret {
        Some(secret) => Some(secret.expose().to_owned()),
        None => Kept::JwtSecret.found(&settings.db_url)?,
    };
    let secret = secret.ok_or(
        "JWT_SECRET is not set, and no secret is kept beside the database; set it to the secret of the server that the token is for, or make one with: openssl rand -base64 48",
    )?;
    let jwt = Jwt::hs256(secret.as_bytes(), &settings.jwt_issuer, &settings.jwt_audience)
        .map_err(|error| format!("JWT_SECRET: {error}"))?;
    let mut principal = Principal::new(args.sub.clone(), args.role);
    principal.scopes.extend(args.scope.split_whitespace().map(str::to_owned));
    let now = SystemClock.now();
    let claims = TokenClaims {
        id: SystemIds.uuid_v7(),
        principal,
        issued_at: now,
        expires_at: now.plus_seconds(i64::from(settings.jwt_ttl_secs)),
    };
    println!("{}", jwt.issue(&claims).await?);
    Ok(())
}
