//! Fill-in-the-middle benchmarks: cases in, answers scored one by one, groups of them summed up.
//!
//! `cases` and `select` say what is asked; `run` asks it case by case: `answer` for the text, `cut` as the benchmark
//! does, `score` and `check` (in a `sandbox`) for what it is worth, `harm` for what it would spoil, `results` to keep
//! it. `summary` sums up with `statistics`, `table` shows that, `compare` sets two runs against each other, `hiding`
//! tells what a threshold would do.

pub(crate) mod answer;
pub(crate) mod cases;
mod check;
pub(crate) mod compare;
mod cut;
mod harm;
pub(crate) mod hiding;
pub(crate) mod outcome;
pub(crate) mod results;
pub(crate) mod run;
pub(crate) mod sandbox;
mod score;
pub(crate) mod select;
mod statistics;
pub(crate) mod summary;
pub(crate) mod table;
