//! Fill-in-the-middle benchmarks: cases in, a table of scores out.

pub(crate) mod cases;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod score;
