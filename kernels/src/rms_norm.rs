//! RMSNorm: `y[i] = x[i] · g[i] / sqrt(mean(x²) + eps)` for each row (Zhang and Sennrich 2019, arXiv:1910.07467).
//!
//! Tolerance between levels: `1e-6 · |y|`, the order of additions.

use crate::Machine;
use crate::level::{Level, vectorised};
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
            let ((x, _), (gains, _)) = (x.as_chunks(), weight.as_chunks());
            for (block, (x, gains)) in x.iter().zip(gains).enumerate() {
                let y = scaled(machine.level, x, gains, scale);
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
    match level {
        Level::REFERENCE => x.iter().map(|x| x * x).sum::<f32>() / x.len() as f32,
        _ => sum_of_squares(level, x) / x.len() as f32,
    }
}

vectorised! {
fn scaled(x: &[f32; BLOCK], gains: &[f32; BLOCK], scale: f32) -> [f32; BLOCK] {
    let mut y = [0.0; BLOCK];
    for i in 0..BLOCK {
        y[i] = x[i] * scale * gains[i];
    }
    y
}
}

vectorised! {
fn sum_of_squares(x: &[f32]) -> f32 {
    let mut sums = [0.0f32; BLOCK];
    for block in x.chunks_exact(BLOCK) {
        for (sum, x) in sums.iter_mut().zip(block) {
            *sum += x * x;
        }
    }
    sums.iter().sum()
}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Activations;
    use crate::testing::{close, machines, paint, read};

    #[test]
    fn every_level_normalises_alike() {
        for width in [32, 64, 96, 576] {
            for rows in [1, 3, 4, 5, 33] {
                let x: Vec<f32> = paint(rows * width, 1).iter().map(|x| 20.0 * x).collect();
                let gains = paint(width, 2);
                let want: Vec<f32> = x
                    .chunks_exact(width)
                    .flat_map(|x| {
                        let mean = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / width as f64;
                        let scale = 1.0 / (mean + 1e-5).sqrt();
                        x.iter().zip(&gains).map(move |(x, g)| (f64::from(*x) * scale * f64::from(*g)) as f32)
                    })
                    .collect();
                for machine in machines() {
                    let mut out = Rows::new(Activations::F32, rows + 1, width);
                    rms_norm(&machine, &x, &gains, 1e-5, &mut out);
                    let got = read(&out, rows + 1);
                    close(&got[..rows * width], &want, |i| 1e-6 * want[i].abs() + 1e-7, machine.level.name());
                    assert!(got[rows * width..].iter().all(|&x| x == 0.0), "a row too many was written");
                }
            }
        }
    }

    #[test]
    fn zero_stays_zero() {
        for machine in machines() {
            let mut out = Rows::new(Activations::Int8, 1, 64);
            rms_norm(&machine, &[0.0; 64], &[1.0; 64], 1e-5, &mut out);
            assert_eq!(read(&out, 1), [0.0; 64]);
        }
    }
}
