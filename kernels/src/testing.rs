//! What tests of all operations share: inputs that cannot cancel out, margins around outputs, comparison.

use crate::level::Level;
use crate::pool::Pool;
use crate::rows::{Activations, Rows};
use crate::{Machine, matrix::BLOCK};

/// What stands around an output; a float that no operation makes.
const MARGIN: f32 = f32::from_bits(0x7fc0_beef);
const MARGIN_LEN: usize = 64;

/// Every level of this processor, each with one thread and with three.
pub(crate) fn machines() -> Vec<Machine> {
    let machine = |level, threads| Machine { level, pool: Pool::new(threads) };
    Level::available().into_iter().flat_map(|l| [machine(l, 1), machine(l, 3)]).collect()
}

/// The plain loops on one thread.
pub(crate) fn reference() -> Machine {
    Machine { level: Level::REFERENCE, pool: Pool::new(1) }
}

/// Values of -1 to 1 with a period that no tile divides.
pub(crate) fn paint(len: usize, seed: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 97 + i / 251 * 31 + seed * 41) % 251) as f32 / 125.0 - 1.0).collect()
}

/// Rows that hold `values`.
pub(crate) fn rows(activations: Activations, width: usize, values: &[f32]) -> Rows {
    let mut rows = Rows::new(activations, values.len() / width, width);
    let (blocks, rest) = values.as_chunks::<BLOCK>();
    assert!(rest.is_empty(), "rows are whole numbers of blocks");
    for (i, block) in blocks.iter().enumerate() {
        #[expect(unsafe_code, reason = "the test has the rows for itself")]
        // SAFETY: no other thread has them.
        unsafe {
            rows.writer().put(Level::REFERENCE, i / (width / BLOCK), i % (width / BLOCK), block);
        }
    }
    rows
}

/// All values of the first `count` rows.
pub(crate) fn read(rows: &Rows, count: usize) -> Vec<f32> {
    let mut values = vec![0.0; count * rows.width()];
    for (row, values) in values.chunks_exact_mut(rows.width()).enumerate() {
        rows.read(row, values);
    }
    values
}

/// Runs `write` on `start` with margins around it; the result, after a look at the margins.
pub(crate) fn bounded(start: &[f32], write: impl FnOnce(&mut [f32])) -> Vec<f32> {
    let mut buffer = [&[MARGIN; MARGIN_LEN], start, &[MARGIN; MARGIN_LEN]].concat();
    write(&mut buffer[MARGIN_LEN..MARGIN_LEN + start.len()]);
    let written = buffer.split_off(MARGIN_LEN);
    let (written, after) = written.split_at(start.len());
    let intact = |margin: &[f32]| margin.iter().all(|x| x.to_bits() == MARGIN.to_bits());
    assert!(intact(&buffer) && intact(after), "something was written beside the output");
    written.to_vec()
}

/// Asserts that all values are within their tolerances.
pub(crate) fn close(got: &[f32], want: &[f32], tolerance: impl Fn(usize) -> f32, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: another length");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let off = (got - want).abs();
        assert!(off <= tolerance(i), "{what}: {got} instead of {want} at {i}, tolerance {}", tolerance(i));
    }
}
