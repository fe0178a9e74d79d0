//! Random inputs, buffers whose every element is checked, and distances.

use std::sync::Arc;

use bytemuck::Zeroable;
use cinnabar_kernels::cuda::pack::{Format, Packed, pack};
use cinnabar_kernels::cuda::state::State;
use cinnabar_kernels::cuda::{Buffer, Gpu, Half, INPUT_SCALE};

/// A small generator: the same seed gives the same inputs.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    /// Uniform in [-1, 1).
    pub(crate) fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// Values that 16 bits hold exactly.
    pub(crate) fn values(&mut self, n: usize, spread: f32) -> Vec<Half> {
        (0..n).map(|_| Half::from_f32(self.next() * spread)).collect()
    }
}

/// Rows of `w` (rows, cols), packed in the order of `source`, and what the weights are worth as they are kept, in their
/// own order.
pub(crate) fn packed(
    format: Format,
    w: &[Half],
    cols: usize,
    source: impl Fn(usize) -> usize,
) -> (Packed, Vec<f64>) {
    let rows = w.len() / cols;
    let packed = pack(format, rows, cols, |i, out| {
        for (to, from) in out.iter_mut().zip(&w[source(i) * cols..][..cols]) {
            *to = from.to_f32();
        }
    });
    let mut kept = vec![0.0; w.len()];
    for i in 0..rows {
        for (j, to) in kept[source(i) * cols..][..cols].iter_mut().enumerate() {
            *to = f64::from(packed.value(i, j));
        }
    }
    (packed, kept)
}

/// What rows that are kept at a share of their value are worth.
pub(crate) fn worth(kept: &[Half]) -> Vec<f64> {
    kept.iter().map(|x| x.to_f64() / f64::from(INPUT_SCALE)).collect()
}

/// A buffer of NaN: an element that no kernel writes is found.
pub(crate) fn poison(gpu: &Arc<Gpu>, n: usize) -> Buffer<Half> {
    Buffer::from_slice(gpu, &vec![Half::NAN; n]).unwrap()
}

pub(crate) fn state(gpu: &Arc<Gpu>, at: usize, rows: usize, causal: bool, slot: usize) -> Buffer<State> {
    let state = State {
        at: at as u32,
        rows: rows as u32,
        causal: u32::from(causal),
        slot: slot as u32,
        head_rows: rows as u32,
        banned: u32::MAX,
        ..State::zeroed()
    };
    Buffer::from_slice(gpu, &[state]).unwrap()
}

/// ‖got - expected‖ / ‖expected‖; NaN never passes.
pub(crate) fn distance(got: &[Half], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let error: f64 = got.iter().zip(expected).map(|(g, e)| (g.to_f64() - e).powi(2)).sum();
    (error / expected.iter().map(|e| e * e).sum::<f64>()).sqrt()
}

/// Prints and checks a relative distance against what 16-bit rounding of output and intermediate values explains.
pub(crate) fn report(what: &str, error: f64) {
    const TOLERANCE: f64 = 1e-3;
    println!("  {what}: {error:.1e}");
    assert!(error < TOLERANCE, "{what}: relative error {error}");
}
