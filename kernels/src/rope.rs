//! Rotary positions (Su et al. 2021, arXiv:2104.09864) on neighbouring values: `(x[2i], x[2i+1])` is turned by
//! `position · theta^(-2i/d)`.
//!
//! GGUF files store the rows of query and key weights in the order that makes the pairs neighbours.

use crate::level::{Level, vectorised};

/// Cosines and sines of the first positions.
pub struct Rope {
    head: usize,
    /// `[positions][head]`: what each value is multiplied with, the cosine of its pair.
    own: Vec<f32>,
    /// `[positions][head]`: what its partner is multiplied with, minus the sine for the first of a pair, the sine for
    /// the second.
    partner: Vec<f32>,
}

impl Rope {
    /// The turns of `positions` positions for heads of width `head`, which must be even.
    pub fn new(positions: usize, head: usize, theta: f32) -> Rope {
        assert!(head.is_multiple_of(2), "a head of width {head} has a value without a partner");
        let frequencies: Vec<f32> = (0..head / 2)
            .map(|i| (1.0 / f64::from(theta).powf(2.0 * i as f64 / head as f64)) as f32)
            .collect();
        let (mut own, mut partner) =
            (Vec::with_capacity(positions * head), Vec::with_capacity(positions * head));
        for position in 0..positions {
            for frequency in &frequencies {
                let (sin, cos) = (position as f32 * frequency).sin_cos();
                own.extend([cos, cos]);
                partner.extend([-sin, sin]);
            }
        }
        Rope { head, own, partner }
    }

    /// Positions that can be turned to.
    pub fn positions(&self) -> usize {
        self.own.len() / self.head
    }

    /// Turns part of a head that starts at its value `from` (even).
    pub fn turn(&self, level: Level, position: usize, from: usize, part: &mut [f32]) {
        assert!(from.is_multiple_of(2) && part.len().is_multiple_of(2), "a pair is cut");
        assert!(from + part.len() <= self.head, "the part is no part of a head");
        let at = position * self.head + from;
        turn(level, &self.own[at..][..part.len()], &self.partner[at..][..part.len()], part);
    }
}

vectorised! {
fn turn(own: &[f32], partner: &[f32], part: &mut [f32]) {
    let (pairs, _) = part.as_chunks_mut::<2>();
    for (i, pair) in pairs.iter_mut().enumerate() {
        let [a, b] = *pair;
        *pair = [
            a * own[2 * i] + b * partner[2 * i],
            b * own[2 * i + 1] + a * partner[2 * i + 1],
        ];
    }
}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_position_turns_nothing() {
        let mut x = [1.0, 2.0, 3.0, 4.0];
        Rope::new(1, 4, 1e4).turn(Level::REFERENCE, 0, 0, &mut x);
        assert_eq!(x, [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn a_turn_is_a_multiplication_by_a_unit_complex_number() {
        let rope = Rope::new(40, 8, 1e5);
        let x: Vec<f32> = (0..8).map(|i| 0.3 * i as f32 - 1.0).collect();
        for position in [1, 7, 39] {
            let mut y = x.clone();
            rope.turn(Level::REFERENCE, position, 0, &mut y);
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
        rope.turn(Level::REFERENCE, 9, 0, &mut whole);
        let (low, high) = parts.split_at_mut(16);
        rope.turn(Level::REFERENCE, 9, 0, low);
        rope.turn(Level::REFERENCE, 9, 16, high);
        assert_eq!(whole, parts);
    }
}
