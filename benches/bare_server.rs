//! The HTTP API over a store in `PostgreSQL` of which no consumer runs: the path of a commit alone, for `scripts/load`.
//!
//! It takes `DB_URL`, `PORT`, `JWT_SECRET` and `DB_MAX_CONNECTIONS` as the example server does, and runs until it is killed.

use std::{env, error::Error, future::pending, sync::Arc};

use alm_core::Alm;
use alm_http::{
    auth::Jwt,
    router,
    serve::{ServeConfig, serve},
};
use alm_store_postgres::{PostgresOptions, PostgresStore};
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` runs every bench; this one has nothing to measure by itself.
    let Ok(port) = env::var("PORT") else {
        println!("run by scripts/load");
        return Ok(());
    };
    let options = PostgresOptions::parse(&env::var("DB_URL")?)?;
    let jwt = Jwt::hs256(env::var("JWT_SECRET")?.as_bytes(), "alm", "alm")?;
    let alm = Alm::builder(Arc::new(PostgresStore::connect(&options).await?)).authenticator(Arc::new(jwt)).build();
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    serve(listener, router(alm), ServeConfig::default(), pending()).await;
    Ok(())
}
