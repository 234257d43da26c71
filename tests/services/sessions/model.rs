//! Whatever is done in whichever order: a token counts just as long as a simple account of what was done says.

use std::fmt;

use alm_core::{domain::Role, services::IssuedTokens};
use proptest::prelude::*;

use super::given::{Given, SESSION, TOKEN};

#[derive(Clone, Debug)]
enum Step {
    Login,
    /// Shows the refresh token of one of the tokens that were got, used or not.
    Refresh(prop::sample::Index),
    /// With one of the access tokens, if it counts.
    Logout(prop::sample::Index),
    SetPassword,
    SetRole(bool),
    MakeAnew,
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Login),
        6 => any::<prop::sample::Index>().prop_map(Step::Refresh),
        2 => any::<prop::sample::Index>().prop_map(Step::Logout),
        1 => Just(Step::SetPassword),
        1 => any::<bool>().prop_map(Step::SetRole),
        1 => Just(Step::MakeAnew),
        4 => prop_oneof![1..TOKEN, Just(TOKEN + 30), Just(SESSION)].prop_map(Step::Pass),
    ]
}

/// One answer with tokens.
struct Got {
    tokens: IssuedTokens,
    session: usize,
    at: i64,
    used: bool,
}

/// What the tokens are worth.
#[derive(Default)]
struct Model {
    now: i64,
    role: bool,
    /// When each session was opened; none of one that is over.
    sessions: Vec<Option<i64>>,
    got: Vec<Got>,
}

impl Model {
    fn is_open(&self, session: usize) -> bool {
        self.sessions[session].is_some_and(|opened| self.now < opened + SESSION)
    }

    /// Tokens count to the second, with half a minute for clocks that differ.
    fn counts(&self, got: &Got) -> bool {
        self.is_open(got.session) && self.now < got.at + TOKEN + 30
    }

    fn end_all(&mut self) {
        self.sessions.iter_mut().for_each(|session| *session = None);
    }

    async fn obey(&mut self, given: &Given, step: &Step) {
        match step {
            Step::Login => {
                let (tokens, session, at) = (given.login().await, self.sessions.len(), self.now);
                self.sessions.push(Some(at));
                self.got.push(Got { tokens, session, at, used: false });
            }
            Step::Refresh(pick) if !self.got.is_empty() => {
                let place = pick.index(self.got.len());
                let (session, used) = (self.got[place].session, self.got[place].used);
                let answer = given.refresh(&self.got[place].tokens).await;
                assert_eq!(answer.is_ok(), self.is_open(session) && !used, "{answer:?}");
                match answer {
                    Ok(tokens) => {
                        self.got[place].used = true;
                        self.got.push(Got { tokens, session, at: self.now, used: false });
                    }
                    Err(_) if used && self.is_open(session) => self.sessions[session] = None,
                    Err(_) => {}
                }
            }
            Step::Logout(pick) if !self.got.is_empty() => {
                let got = &self.got[pick.index(self.got.len())];
                if self.counts(got) {
                    given.logout(&got.tokens).await;
                    self.sessions[got.session] = None;
                }
            }
            Step::Refresh(_) | Step::Logout(_) => {}
            Step::SetPassword => {
                given.set_password().await;
                self.end_all();
            }
            Step::SetRole(role) => {
                given.set_role(if *role { Role::Deployer } else { Role::User }, &[]).await;
                if std::mem::replace(&mut self.role, *role) != *role {
                    self.end_all();
                }
            }
            Step::MakeAnew => {
                given.delete().await;
                given.create().await;
                self.role = false;
                self.end_all();
            }
            Step::Pass(seconds) => {
                given.passes(*seconds);
                self.now += seconds;
            }
        }
    }
}

impl fmt::Debug for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "of session {} at {}", self.session, self.at)
    }
}

proptest! {
    #[test]
    fn a_token_counts_as_long_as_what_was_done_says(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (given, mut model) = (Given::new().await, Model::default());
            for step in &steps {
                model.obey(&given, step).await;
                for got in &model.got {
                    assert_eq!(given.counts(&got.tokens).await, model.counts(got), "after {step:?}: {got:?}");
                }
            }
        });
    }
}
