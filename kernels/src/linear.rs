//! Matrix products with what follows them: `y = x Wᵀ` for packed weights `W` (outputs, inputs) and rows `x`.
//!
//! Threads share the outputs: each unit makes 32 columns of all rows, so that every weight is read once, and finishes
//! them while they are in the first cache. Tolerance between levels: `1e-5 · Σ |x w|`, the order of additions.

use std::cell::RefCell;

use crate::Machine;
use crate::cache::{self, Cache};
use crate::disjoint::Disjoint;
use crate::dot;
use crate::level::{Level, vectorised};
use crate::math;
use crate::matrix::{BLOCK, Matrix, TILE, Tile};
use crate::rope::Rope;
use crate::rows::{Bytes, Rows, View};
use crate::tile::{self, Strided};

/// Rows of one product at most: what a unit keeps on its stack.
pub const MAX_ROWS: usize = 128;

/// Blocks that are dequantised at a time: a panel of 16 KiB.
const PANEL_BLOCKS: usize = 8;

/// Blocks that all rows are multiplied with before the next ones: 24 KiB of weights, which stay in the first cache meanwhile.
const BYTE_BLOCKS: usize = 48;

/// Starts on a cache line, so that no vector is loaded from two.
#[repr(align(64))]
struct Line<T>(T);

// Each thread keeps its scratch: clearing it for every unit would cost a single row a third of its time.
thread_local! {
    /// Products of a unit's rows.
    static COLUMNS: RefCell<Box<Line<[f32; MAX_ROWS * 2 * BLOCK]>>> = RefCell::new(Box::new(Line([0.0; _])));
    /// Dequantised weights of 16 outputs.
    static PANEL: RefCell<Box<Line<[f32; PANEL_BLOCKS * BLOCK * TILE]>>> = RefCell::new(Box::new(Line([0.0; _])));
}

/// Adds the product to `y` (rows, outputs): the residual stream after a projection.
pub fn add(machine: &Machine, weights: &Matrix, x: &Rows, y: &mut [f32]) {
    let outputs = weights.outputs();
    let rows = y.len() / outputs;
    let y = Disjoint::new(y);
    units(machine, weights, x, rows, |unit, columns| {
        let width = BLOCK.min(outputs - unit * BLOCK);
        for (row, columns) in columns.chunks_exact(BLOCK).enumerate() {
            #[expect(unsafe_code, reason = "threads write different columns")]
            // SAFETY: these columns belong to this unit.
            let y = unsafe { y.slice(row * outputs + unit * BLOCK, width) };
            for (y, x) in y.iter_mut().zip(columns) {
                *y += x;
            }
        }
    });
}

/// Writes the product to `y` (rows, outputs).
pub fn store(machine: &Machine, weights: &Matrix, x: &Rows, y: &mut [f32]) {
    y.fill(0.0);
    add(machine, weights, x, y);
}

/// The order of outputs for [`gated`]: 32 gates, then the 32 values that they gate, and so on.
pub fn interleave<T: Copy>(gates: &[T], values: &[T]) -> Vec<T> {
    assert_eq!(gates.len(), values.len(), "every value has a gate");
    gates.chunks(BLOCK).zip(values.chunks(BLOCK)).flat_map(|(g, v)| g.iter().chain(v).copied()).collect()
}

/// Writes `silu(x Gᵀ) · x Vᵀ` (Shazeer 2020, arXiv:2002.05202) to `rows` rows of `out`, for weights in the order of [`interleave`].
pub fn gated(machine: &Machine, weights: &Matrix, x: &Rows, rows: usize, out: &mut Rows) {
    assert_eq!(weights.outputs(), 2 * out.width(), "every value has a gate");
    assert!(rows <= out.capacity().min(x.capacity()).min(MAX_ROWS), "too many rows");
    check(weights, x);
    let level = machine.level;
    let writer = out.writer();
    machine.pool.run(weights.outputs() / (2 * BLOCK), &|unit| {
        COLUMNS.with_borrow_mut(|columns| {
            let columns = &mut columns.0[..rows * 2 * BLOCK];
            for part in 0..4 {
                let out = Strided { data: &mut columns[part * TILE..], stride: 2 * BLOCK };
                product(level, weights, 4 * unit + part, x, rows, out);
            }
            let (columns, _) = columns.as_chunks::<{ 2 * BLOCK }>();
            for (row, columns) in columns.iter().enumerate() {
                let gated = gate(level, columns);
                #[expect(unsafe_code, reason = "threads write different blocks")]
                // SAFETY: block `unit` of every row belongs to this unit.
                unsafe {
                    writer.put(level, row, unit, &gated);
                }
            }
        });
    });
}

/// `silu(gate) · value` of a block of gates and one of values.
fn gate(level: Level, columns: &[f32; 2 * BLOCK]) -> [f32; BLOCK] {
    match level {
        Level::REFERENCE => std::array::from_fn(|i| {
            let gate = columns[i];
            columns[BLOCK + i] * gate / (1.0 + (-gate).exp())
        }),
        _ => gate_fast(level, columns),
    }
}

vectorised! {
fn gate_fast(columns: &[f32; 2 * BLOCK]) -> [f32; BLOCK] {
    let mut gated = [0.0; BLOCK];
    for i in 0..BLOCK {
        gated[i] = columns[BLOCK + i] * math::silu(columns[i]);
    }
    gated
}
}

/// Where the outputs of [`queries_keys_values`] go.
pub struct Projected<'a> {
    /// Turned queries (rows, query width).
    pub queries: &'a mut [f32],
    /// Takes the turned keys and the values at `at..`.
    pub cache: &'a mut Cache,
    /// Position of the first row.
    pub at: usize,
}

/// Projects rows to queries, keys and values with one matrix, whose outputs are those of all query heads, then all key
/// heads, then all value heads; turns queries and keys to their positions and writes keys and values to the cache.
pub fn queries_keys_values(
    machine: &Machine,
    weights: &Matrix,
    x: &Rows,
    rows: usize,
    rope: &Rope,
    out: Projected<'_>,
) {
    let (head, kv) = (out.cache.head(), out.cache.heads() * out.cache.head());
    let query = weights.outputs() - 2 * kv;
    assert!(head.is_multiple_of(BLOCK), "a unit would span two heads");
    assert_eq!(out.queries.len(), rows * query, "queries have another width");
    assert!(out.at + rows <= out.cache.positions().min(rope.positions()), "positions are out of range");
    let at = out.at;
    let queries = Disjoint::new(out.queries);
    let cache: cache::Writer<'_> = out.cache.writer();
    units(machine, weights, x, rows, |unit, columns| {
        let output = unit * BLOCK;
        let from = output % head;
        let (columns, _) = columns.as_chunks_mut::<BLOCK>();
        for (row, part) in columns.iter_mut().enumerate() {
            let position = at + row;
            if output < query + kv {
                rope.turn(machine.level, position, from, part);
            }
            #[expect(unsafe_code, reason = "threads write different parts")]
            // SAFETY: these outputs belong to this unit, and heads are whole numbers of units.
            unsafe {
                if output < query {
                    queries.slice(row * query + output, BLOCK).copy_from_slice(part);
                } else if output < query + kv {
                    cache.put_key(machine.level, (output - query) / head, position, from, part);
                } else {
                    cache.put_value(machine.level, (output - query - kv) / head, position, from, part);
                }
            }
        }
    });
}

/// Calls `finish(unit, columns)` for every 32 outputs, with the products of all rows (rows, 32).
fn units(
    machine: &Machine,
    weights: &Matrix,
    x: &Rows,
    rows: usize,
    finish: impl Fn(usize, &mut [f32]) + Sync,
) {
    machine.pool.run(weights.outputs().div_ceil(BLOCK), &|unit| {
        block(machine.level, weights, unit, x, rows, |columns| finish(unit, columns));
    });
}

/// Calls `finish` with the products (rows, 32) of all rows with block `block` of 32 outputs.
pub(crate) fn block(
    level: Level,
    weights: &Matrix,
    block: usize,
    x: &Rows,
    rows: usize,
    finish: impl FnOnce(&mut [f32]),
) {
    assert!(rows <= x.capacity().min(MAX_ROWS), "too many rows");
    check(weights, x);
    COLUMNS.with_borrow_mut(|columns| {
        let columns = &mut columns.0[..rows * BLOCK];
        for part in 0..(weights.tiles() - 2 * block).min(2) {
            let out = Strided { data: &mut columns[part * TILE..], stride: BLOCK };
            product(level, weights, 2 * block + part, x, rows, out);
        }
        finish(columns);
    });
}

fn check(weights: &Matrix, x: &Rows) {
    assert_eq!(weights.inputs(), x.width(), "rows and weights have another width");
    assert_eq!(weights.activations(), x.activations(), "weights are packed for rows of another kind");
}

/// The products of the first `rows` rows with 16 outputs.
fn product(level: Level, weights: &Matrix, tile: usize, x: &Rows, rows: usize, out: Strided<&mut [f32]>) {
    let ahead = if tile + 1 < weights.tiles() { weights.tile(tile + 1).bytes } else { &[] };
    let tile = weights.tile(tile);
    match x.view() {
        View::F32(values) => {
            PANEL.with_borrow_mut(|panel| floats(level, tile, &mut panel.0, (values, x.width()), rows, out));
        }
        View::Int8(bytes) => whole_numbers(level, (tile, ahead), (bytes, x.width()), rows, out),
    }
}

fn floats(
    level: Level,
    tile: Tile<'_>,
    panel: &mut [f32],
    (x, width): (&[f32], usize),
    rows: usize,
    out: Strided<&mut [f32]>,
) {
    let blocks = width / BLOCK;
    for first in (0..blocks).step_by(PANEL_BLOCKS) {
        let count = PANEL_BLOCKS.min(blocks - first);
        let depth = count * BLOCK;
        tile::dequantise(level, tile, first, count, panel);
        let a = Strided { data: &x[first * BLOCK..], stride: width };
        let b = Strided { data: &panel[..depth * TILE], stride: TILE };
        let out = Strided { data: &mut *out.data, stride: out.stride };
        tile::product(level, rows, depth, a, b, out, first > 0);
    }
}

fn whole_numbers(
    level: Level,
    (tile, ahead): (Tile<'_>, &[u8]),
    (x, width): (dot::Input<'_>, usize),
    rows: usize,
    out: Strided<&mut [f32]>,
) {
    let blocks = width / BLOCK;
    for first in (0..blocks).step_by(BYTE_BLOCKS) {
        let count = BYTE_BLOCKS.min(blocks - first);
        let x = Bytes {
            quants: &x.quants[first * BLOCK..],
            scales: &x.scales[first..],
            offsets: &x.offsets[first..],
        };
        let last = first + count == blocks;
        let weights = dot::Quads {
            bytes: &tile.quants[first * BLOCK * TILE..][..count * BLOCK * TILE],
            scales: &tile.scales[first * TILE..][..count * TILE],
            ahead: if last { ahead } else { &[] },
        };
        let out = Strided { data: &mut *out.data, stride: out.stride };
        dot::product(level, rows, width, x, weights, out, first > 0);
    }
}

#[cfg(test)]
mod tests;
