use std::{collections::BTreeSet, num::NonZeroU32, sync::Arc, time::Duration};

use alm_core::{
    Alm, AlmBuilder, Context, Error,
    domain::{Grant, NewUser, Password, Role, UserUpdate, Username},
    ports::{AuthError, Rate, Store},
    services::{IssuedTokens, LoginLimits, Precondition},
    testing::ManualClock,
};
use alm_http::auth::{Jwt, SystemSecrets};
use alm_store_memory::MemoryStore;

use crate::{fakes::FakeHasher, given::admin};

pub(super) const PASSWORD: &str = "correct horse";

/// How long sessions and access tokens count in these tests, in seconds.
pub(super) const SESSION: i64 = 3_600;
pub(super) const TOKEN: i64 = 900;

pub(super) fn builder(store: Arc<dyn Store>, clock: Arc<ManualClock>) -> AlmBuilder {
    let jwt = Arc::new(Jwt::hs256(&[7; 32], "alm", "alm").unwrap());
    Alm::builder(store)
        .clock(clock)
        .authenticator(jwt.clone())
        .token_issuer(jwt)
        .password_hasher(Arc::new(FakeHasher::default()))
        .secrets(Arc::new(SystemSecrets))
        .session_seconds(u32::try_from(SESSION).unwrap())
        .login_limits(lenient())
}

/// One may log in as often as any test does.
fn lenient() -> LoginLimits {
    LoginLimits::default().per_account_and_address(Rate { burst: NonZeroU32::MAX, interval: Duration::from_millis(1) })
}

/// With the account `carol`.
pub(super) struct Given {
    pub(super) alm: Alm,
    pub(super) clock: Arc<ManualClock>,
}

impl Given {
    pub(super) async fn new() -> Self {
        let clock = ManualClock::at(1_800_000_000_000_000);
        let alm = builder(Arc::new(MemoryStore::new()), clock.clone()).build();
        let given = Self { alm, clock };
        given.create().await;
        given
    }

    pub(super) async fn create(&self) {
        let new = NewUser::parse("carol".into(), PASSWORD.into(), Role::User, &[]).unwrap();
        self.alm.accounts().create(&admin(), new).await.unwrap();
    }

    pub(super) async fn login(&self) -> IssuedTokens {
        let password = Password::attempt(PASSWORD).unwrap();
        self.alm.sessions().login(&Context::anonymous(), &carol(), &password).await.unwrap().value
    }

    pub(super) async fn refresh(&self, tokens: &IssuedTokens) -> Result<IssuedTokens, Error> {
        let shown = tokens.refresh_token.as_deref().unwrap();
        Ok(self.alm.sessions().refresh(&Context::anonymous(), shown).await?.value)
    }

    pub(super) async fn acting(&self, tokens: &IssuedTokens) -> Context {
        Context::new(self.alm.authenticate(&tokens.access_token).await.unwrap())
    }

    pub(super) async fn logout(&self, tokens: &IssuedTokens) {
        self.alm.sessions().logout(&self.acting(tokens).await).await.unwrap();
    }

    /// The same password again, which is a change.
    pub(super) async fn set_password(&self) {
        let password = Password::parse(PASSWORD).unwrap();
        self.alm.accounts().set_password(&admin(), &carol(), &password, None).await.unwrap();
    }

    pub(super) async fn set_role(&self, role: Role, grants: &[&str]) {
        let grants: BTreeSet<_> = grants.iter().map(|grant| Grant::parse(grant).unwrap()).collect();
        let update = UserUpdate { role, grants };
        self.alm.accounts().update(&admin(), &carol(), update, &Precondition::none()).await.unwrap();
    }

    pub(super) async fn delete(&self) {
        self.alm.accounts().delete(&admin(), &carol()).await.unwrap();
    }

    /// Whether the access token counts.
    pub(super) async fn counts(&self, tokens: &IssuedTokens) -> bool {
        match self.alm.authenticate(&tokens.access_token).await {
            Ok(principal) => {
                assert_eq!(principal.name.as_str(), "carol");
                true
            }
            Err(Error::Token(AuthError::Invalid | AuthError::Expired)) => false,
            Err(error) => panic!("{error}"),
        }
    }

    pub(super) fn passes(&self, seconds: i64) {
        self.clock.move_by(seconds * 1_000_000);
    }
}

pub(super) fn carol() -> Username {
    Username::parse("carol").unwrap()
}

pub(super) fn is_refused<T>(answer: Result<T, Error>) -> bool {
    match answer {
        Ok(_) => false,
        Err(Error::Token(AuthError::Invalid | AuthError::Expired)) => true,
        Err(error) => panic!("{error}"),
    }
}
