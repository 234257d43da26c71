//! The test kit, tested: what it says of stores that are right and of stores that are wrong.

mod flawed_stores;
