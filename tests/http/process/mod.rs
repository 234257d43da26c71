//! The example server as a process of its own: what it reads, says and leaves.

mod child;
mod logs;
mod serving;
mod settings;
mod stopping;
mod storage;

use child::{Process, run};
