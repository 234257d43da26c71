//! What the lists of cases expand to.

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ([$port:ident $harness:expr] $($group:ident::$name:ident [$($needs:ident)*],)+) => {
        $(
            #[test]
            fn $name() {
                $crate::testing::conformance::$port::check(&$harness, stringify!($name));
            }
        )+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_table {
    ([$capability:ident] $($group:ident::$name:ident [$($needs:ident)*],)+) => {
        /// Every case, in the order in which [`run_all`](super::run_all) runs them.
        ///
        /// | about | what must hold | needs |
        /// |---|---|---|
        $(#[doc = concat!("| ", stringify!($group), " | `", stringify!($name), "` | ", $(stringify!($needs), " ",)* "|")])+
        pub static CASES: &[Case] = &[
            $(Case {
                group: stringify!($group),
                name: stringify!($name),
                needs: &[$($capability::$needs),*],
                run: |subject| Box::pin(super::$group::$name(subject)),
            },)+
        ];
    };
}
