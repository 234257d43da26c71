//! The one list of the cases, that the tests, the table and the docs are made of.

use crate::testing::conformance::TreeCapability;

use super::Case;

/// Every case: the module that it stands in, its name, and what a store must be able to do for it.
#[doc(hidden)]
#[macro_export]
macro_rules! __tree_cases {
    ($then:ident $($arguments:tt)*) => {
        $crate::$then! { [$($arguments)*]
            reading::a_tree_that_has_never_grown_is_empty [],
            reading::tiles_read_back_as_they_were_grown [],
            reading::a_tile_is_as_it_was_grown_last [],
            reading::checkpoints_are_listed_by_size_in_pages [],
            reading::a_growth_is_seen_through_every_handle [Handles],
            reading::a_tree_survives_a_restart [Durability],
            growing::a_tree_grows_only_from_its_size [],
            growing::a_growth_that_is_refused_leaves_no_trace [],
            growing::a_growth_that_is_dropped_is_whole_or_nothing [],
            growing::of_many_who_grow_a_tree_one_does [],
            growing::whoever_has_seen_a_checkpoint_finds_its_tiles [],
            growing::a_growth_may_be_large [],
        }
    };
}

/// One `#[test]` for each promise that a store of a tree makes (the table is at [`testing::conformance::tree::CASES`]).
///
/// It takes an expression that gives a [`TreeHarness`](crate::testing::conformance::TreeHarness), and needs nothing else in the
/// manifest than alm-core with the feature `conformance`. Several invocations need a module each, for the tests have the names
/// of the cases.
///
/// ```
/// use std::sync::Arc;
/// use alm_core::{ports::TreeStore, testing::conformance::{TreeCapability, TreeHarness, TreeSubject}};
/// use alm_store_memory::MemoryStore;
///
/// struct Harness;
///
/// impl TreeHarness for Harness {
///     type Subject = Memory;
///
///     fn capabilities(&self) -> &[TreeCapability] {
///         &[]
///     }
///
///     async fn fresh(&self) -> Memory {
///         Memory(Arc::default())
///     }
/// }
///
/// struct Memory(Arc<MemoryStore>);
///
/// impl TreeSubject for Memory {
///     fn store(&self) -> Arc<dyn TreeStore> {
///         self.0.clone()
///     }
/// }
///
/// alm_core::tree_conformance!(Harness);
/// # fn main() {}
/// ```
///
/// [`testing::conformance::tree::CASES`]: crate::testing::conformance::tree::CASES
#[macro_export]
macro_rules! tree_conformance {
    ($harness:expr $(,)?) => {
        $crate::__tree_cases! { __conformance_tests tree $harness }
    };
}

crate::__tree_cases! { __conformance_table TreeCapability }
