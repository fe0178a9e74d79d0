//! Rotary positions (Su et al. 2021, arXiv:2104.09864) on neighbouring values: `(x[2i], x[2i+1])` is turned by
//! `position · theta^(-2i/d)`.
//!
//! GGUF files store the rows of query and key weights in the order that makes the pairs neighbours.

/// Cosines and sines of the first positions.
pub struct Rope {
    half: usize,
    /// `[positions][head/2]` of (cosine, sine).
    turns: Vec<(f32, f32)>,
}

impl Rope {
    /// The turns of `positions` positions for heads of width `head`, which must be even.
    pub fn new(positions: usize, head: usize, theta: f32) -> Rope {
        assert!(head.is_multiple_of(2), "a head of width {head} has a value without a partner");
        let half = head / 2;
        let frequencies: Vec<f32> =
            (0..half).map(|i| (1.0 / f64::from(theta).powf(2.0 * i as f64 / head as f64)) as f32).collect();
        let turns = (0..positions)
            .flat_map(|position| {
                frequencies.iter().map(move |f| {
                    let angle = position as f32 * f;
                    (angle.cos(), angle.sin())
                })
            })
            .collect();
        Rope { half, turns }
    }

    /// Positions that can be turned to.
    pub fn positions(&self) -> usize {
        self.turns.len() / self.half
    }

    /// Turns part of a head that starts at its value `from` (even).
    pub fn turn(&self, position: usize, from: usize, part: &mut [f32]) {
        let turns = &self.turns[position * self.half..][..self.half][from / 2..];
        for (pair, &(cos, sin)) in part.chunks_exact_mut(2).zip(turns) {
            let (a, b) = (pair[0], pair[1]);
            pair[0] = a * cos - b * sin;
            pair[1] = a * sin + b * cos;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_position_turns_nothing() {
        let mut x = [1.0, 2.0, 3.0, 4.0];
        Rope::new(1, 4, 1e4).turn(0, 0, &mut x);
        assert_eq!(x, [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn a_turn_is_a_multiplication_by_a_unit_complex_number() {
        let rope = Rope::new(40, 8, 1e5);
        let x: Vec<f32> = (0..8).map(|i| 0.3 * i as f32 - 1.0).collect();
        for position in [1, 7, 39] {
            let mut y = x.clone();
            rope.turn(position, 0, &mut y);
            for i in 0..4 {
                let angle = position as f64 * 1e5_f64.powf(-2.0 * i as f64 / 8.0);
                let (re, im) = (f64::from(x[2 * i]), f64::from(x[2 * i + 1]));
                let want = (re * angle.cos() - im * angle.sin(), re * angle.sin() + im * angle.cos());
                assert!((f64::from(y[2 * i]) - want.0).abs() < 1e-5, "position {position}, pair {i}");
                assert!((f64::from(y[2 * i + 1]) - want.1).abs() < 1e-5, "position {position}, pair {i}");
            }
        }
    }

    #[test]
    fn parts_of_a_head_turn_as_the_whole() {
        let rope = Rope::new(10, 32, 1e4);
        let mut whole: Vec<f32> = (0..32).map(|i| (i as f32).sin()).collect();
        let mut parts = whole.clone();
        rope.turn(9, 0, &mut whole);
        let (low, high) = parts.split_at_mut(16);
        rope.turn(9, 0, low);
        rope.turn(9, 16, high);
        assert_eq!(whole, parts);
    }
}
