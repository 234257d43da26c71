//! The services do what a model of plain maps does, whatever is asked of them in whichever order.
//!
//! The model numbers resources by itself, for it does not know which ids the store gives and to
//! which microsecond something happens; [`system`] translates.

mod command;
mod reference;
mod rows;
mod system;
mod told;

use proptest::{strategy::Strategy, test_runner::TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use crate::given::property;

use self::{
    command::{Command, commands},
    reference::Model,
    system::System,
};

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Command;

    fn init_state() -> proptest::strategy::BoxedStrategy<Self> {
        proptest::strategy::Just(Self::default()).boxed()
    }

    fn transitions(model: &Self) -> proptest::strategy::BoxedStrategy<Command> {
        commands(model.created())
    }

    fn apply(mut model: Self, command: &Command) -> Self {
        model.obey(command);
        model
    }
}

struct Comparison;

impl StateMachineTest for Comparison {
    type SystemUnderTest = System;
    type Reference = Model;

    fn init_test(_: &Model) -> System {
        System::new()
    }

    fn apply(mut system: System, model: &Model, command: Command) -> System {
        let answer = system.obey(&command);
        assert_eq!(&answer, model.answer(), "{command:?}");
        system
    }

    fn teardown(mut system: System, mut model: Model) {
        model.obey(&Command::CatchUp);
        system.obey(&Command::CatchUp).unwrap();
        system.assert_log(model.log());
    }
}

#[test]
fn the_services_do_what_the_model_does() {
    let config = property(200);
    let strategy = Model::sequential_strategy(1..100);
    let run = TestRunner::new(config.clone()).run(&strategy, |(model, commands, seen)| {
        Comparison::test_sequential(config.clone(), model, commands, seen);
        Ok(())
    });
    run.unwrap();
}
