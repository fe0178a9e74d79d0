//! Products of every level against sums in f64 over the packed weights.

use super::*;
use crate::cache::Storage;
use crate::matrix::Format;
use crate::matrix::tests::{matrix, painted};
use crate::memory::Memory;
use crate::pool::Pool;
use crate::rows::Activations;
use crate::testing::{bounded, close, machines, paint, read, rows};

/// `x Wᵀ` and `Σ |x w|` in f64, with weights and rows as they are stored.
fn products(weights: &Matrix, x: &Rows, count: usize) -> (Vec<f32>, Vec<f32>) {
    let (mut sums, mut magnitudes) = (Vec::new(), Vec::new());
    let columns: Vec<Vec<f32>> = (0..weights.outputs())
        .map(|o| {
            let mut row = vec![0.0; weights.inputs()];
            weights.row(o, &mut row);
            row
        })
        .collect();
    for x in read(x, count).chunks_exact(weights.inputs()) {
        for w in &columns {
            let terms = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w));
            sums.push(terms.clone().sum::<f64>() as f32);
            magnitudes.push(terms.map(f64::abs).sum::<f64>() as f32);
        }
    }
    (sums, magnitudes)
}

fn check_add(format: Format, outputs: usize, inputs: usize, count: usize) {
    let weights = matrix(format, outputs, inputs, count);
    let x = rows(format.activations(), inputs, &paint(count * inputs, outputs));
    let (sums, magnitudes) = products(&weights, &x, count);
    let before = paint(count * outputs, 3);
    let want: Vec<f32> = sums.iter().zip(&before).map(|(a, b)| a + b).collect();
    for machine in machines() {
        let what = format!("{format:?} {} {outputs} x {inputs}, {count} rows", machine.level);
        let got = bounded(&before, |y| add(&machine, &weights, &x, y));
        close(&got, &want, |i| 1e-5 * magnitudes[i] + 1e-6, &what);
    }
}

#[test]
fn every_level_multiplies_alike_at_the_edges_of_tiles() {
    for format in Format::ALL {
        for outputs in [1, 15, 16, 17, 31, 32, 33, 53] {
            check_add(format, outputs, 64, 5);
        }
        for count in [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 24, 25, 127, 128] {
            check_add(format, 19, 32, count);
        }
        // Around the blocks that are multiplied at a time.
        for inputs in [32, 224, 256, 288, 1504, 1536, 1568] {
            check_add(format, 17, inputs, 3);
        }
    }
}

#[test]
fn every_level_multiplies_alike_at_the_shapes_of_the_model() {
    for format in Format::ALL {
        for count in [1, 32] {
            check_add(format, 576, 576, count);
            check_add(format, 192, 1536, count);
        }
    }
}

#[test]
fn the_largest_bytes_do_not_saturate() {
    let signs: [fn(usize) -> bool; 4] = [|_| true, |_| false, |i| i % 2 == 0, |i| i % 4 < 2];
    let inputs = 64;
    for weight_sign in signs {
        for row_sign in signs {
            let row: Vec<u8> = (0..inputs / BLOCK)
                .flat_map(|_| {
                    let bytes = (0..BLOCK).map(|i| if weight_sign(i) { 127i8 } else { -127 } as u8);
                    [0, 0x3c].into_iter().chain(bytes).collect::<Vec<u8>>()
                })
                .collect();
            let tile = [row.as_slice(); 16];
            let weights = Matrix::pack(&Pool::new(1), &mut Memory::default(), Format::Seven, inputs, &tile);
            let values: Vec<f32> = (0..inputs).map(|i| if row_sign(i) { 1.0 } else { -1.0 }).collect();
            let x = rows(Activations::Int8, inputs, &values.repeat(7));
            let (want, magnitudes) = products(&weights, &x, 7);
            assert!(magnitudes.iter().all(|&m| m > 127.0 * 127.0 / 2.0), "the products are not the largest");
            for machine in machines() {
                let got = bounded(&vec![0.0; want.len()], |y| store(&machine, &weights, &x, y));
                close(&got, &want, |_| 0.1, &machine.level.to_string());
            }
        }
    }
}

#[test]
fn gates_and_values_meet() {
    for format in Format::ALL {
        for (width, inputs, count) in [(32, 32, 1), (64, 96, 5), (1536, 64, 32)] {
            let (gates, values) = (painted(width, inputs, 1), painted(width, inputs, 2));
            let order = interleave(
                &gates.iter().map(Vec::as_slice).collect::<Vec<_>>(),
                &values.iter().map(Vec::as_slice).collect::<Vec<_>>(),
            );
            let pool = Pool::new(1);
            let pack = |rows: &[&[u8]]| Matrix::pack(&pool, &mut Memory::default(), format, inputs, rows);
            let weights = pack(&order);
            let x = rows(format.activations(), inputs, &paint(count * inputs, 5));
            let plain = |rows: &[Vec<u8>]| {
                products(&pack(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>()), &x, count).0
            };
            let want: Vec<f32> =
                plain(&gates).iter().zip(plain(&values)).map(|(g, v)| v * g / (1.0 + (-g).exp())).collect();
            for machine in machines() {
                // Rounding is tested with rows; here it would hide an error.
                let mut out = Rows::new(Activations::F32, count, width);
                gated(&machine, &weights, &x, count, &mut out);
                let what = format!("{format:?} {} {width} x {inputs}", machine.level);
                close(&read(&out, count), &want, |i| 1e-4 * want[i].abs() + 1e-4, &what);
            }
        }
    }
}

#[test]
fn queries_keys_and_values_go_to_their_places() {
    let (heads, kv_heads, head, inputs) = (3, 1, 64, 64);
    let (query, kv) = (heads * head, kv_heads * head);
    let rope = Rope::new(64, head, 1e4);
    for format in Format::ALL {
        let weights = matrix(format, query + 2 * kv, inputs, 9);
        for (at, count) in [(0, 1), (15, 2), (13, 20)] {
            let x = rows(format.activations(), inputs, &paint(count * inputs, at));
            let (mut want, _) = products(&weights, &x, count);
            for (row, want) in want.chunks_exact_mut(query + 2 * kv).enumerate() {
                for part in want[..query + kv].chunks_exact_mut(head) {
                    rope.turn(Level::REFERENCE, at + row, 0, part);
                }
            }
            for machine in machines() {
                let what = format!("{format:?} {}, {count} rows at {at}", machine.level);
                let mut cache = Cache::new(Storage::F32, kv_heads, head);
                cache.reserve(&mut Memory::default(), at + count);
                let queries = bounded(&vec![0.0; count * query], |queries| {
                    let out = Projected { queries, cache: &mut cache, at };
                    queries_keys_values(&machine, &weights, &x, count, &rope, out);
                });
                for row in 0..count {
                    let want = &want[row * (query + 2 * kv)..][..query + 2 * kv];
                    let position = at + row;
                    let key: Vec<f32> = (0..head).map(|i| cache.key(0, position, i)).collect();
                    let value: Vec<f32> = (0..head).map(|i| cache.value(0, position, i)).collect();
                    close(&queries[row * query..][..query], &want[..query], |_| 2e-4, &what);
                    close(&key, &want[query..query + kv], |_| 2e-4, &what);
                    close(&value, &want[query + kv..], |_| 2e-4, &what);
                }
                let before: f32 = (0..at * head).map(|i| cache.value(0, i / head, i % head).abs()).sum();
                assert_eq!(before, 0.0, "{what}: a position before the rows was written");
            }
        }
    }
}

#[test]
#[should_panic(expected = "rows of another kind")]
fn weights_for_other_rows_are_refused() {
    let weights = matrix(Format::Exact, 16, 32, 0);
    let x = rows(Activations::Int8, 32, &[1.0; 32]);
    add(&crate::testing::reference(), &weights, &x, &mut [0.0; 16]);
}
