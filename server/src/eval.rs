//! Fill-in-the-middle benchmarks: cases in, answers scored one by one, groups of them summed up.
//!
//! `cases` and `select` say what is asked, `answer` asks it, `score` judges one answer, `results` keeps it on disk;
//! `summary` sums up with `statistics`, `table` shows that, `compare` sets two runs against each other.

pub(crate) mod answer;
pub(crate) mod cases;
pub(crate) mod compare;
pub(crate) mod outcome;
pub(crate) mod results;
pub(crate) mod score;
pub(crate) mod select;
mod statistics;
pub(crate) mod summary;
pub(crate) mod table;
