//! RMSNorm: `y[i] = x[i] · g[i] / sqrt(mean(x²) + eps)` for each row (Zhang and Sennrich 2019, arXiv:1910.07467).
//!
//! Tolerance between levels: `1e-6 · |y|`, the order of additions.

use crate::Machine;
use crate::level::{self, Level};
use crate::matrix::BLOCK;
use crate::rows::Rows;

/// Rows worth the start of a job.
const ROWS_PER_UNIT: usize = 4;

/// Normalises each `weight.len()` values of `x` into a row of `out`.
pub fn rms_norm(machine: &Machine, x: &[f32], weight: &[f32], eps: f32, out: &mut Rows) {
    let width = weight.len();
    let rows = x.len() / width;
    assert_eq!(x.len(), rows * width, "the last row is not whole");
    assert!(out.width() == width && rows <= out.capacity(), "the rows do not fit");
    let writer = out.writer();
    machine.pool.run(rows.div_ceil(ROWS_PER_UNIT), &|unit| {
        for row in unit * ROWS_PER_UNIT..rows.min((unit + 1) * ROWS_PER_UNIT) {
            let x = &x[row * width..][..width];
            let scale = 1.0 / (mean_square(machine.level, x) + eps).sqrt();
            for (block, (x, g)) in x.chunks_exact(BLOCK).zip(weight.chunks_exact(BLOCK)).enumerate() {
                let mut y = [0.0; BLOCK];
                for ((y, x), g) in y.iter_mut().zip(x).zip(g) {
                    *y = x * scale * g;
                }
                #[expect(unsafe_code, reason = "threads write different rows")]
                // SAFETY: each row belongs to one unit.
                unsafe {
                    writer.put(machine.level, row, block, &y);
                }
            }
        }
    });
}

fn mean_square(level: Level, x: &[f32]) -> f32 {
    let sum = match level {
        Level::REFERENCE => x.iter().map(|x| x * x).sum::<f32>(),
        _ => level::with(level, || {
            let mut sums = [0.0f32; BLOCK];
            for block in x.chunks_exact(BLOCK) {
                for (sum, x) in sums.iter_mut().zip(block) {
                    *sum += x * x;
                }
            }
            sums.iter().sum()
        }),
    };
    sum / x.len() as f32
}
