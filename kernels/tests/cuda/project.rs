//! Projections.

use std::sync::Arc;

use cinnabar_kernels::cuda::pack::{Format, gate_up_row, rotary_row};
use cinnabar_kernels::cuda::project::Project;
use cinnabar_kernels::cuda::resident::{Caches, Weights};
use cinnabar_kernels::cuda::{Buffer, Gpu, Half, INPUT_SCALE};

use crate::support::{Noise, distance, packed, poison, report, state, worth};

const EPS: f32 = 1e-5;
/// (heads, kv heads, head size, hidden, ffn): the default model, Qwen2.5 0.5B and narrow ones, the last with long K.
const SHAPES: [(usize, usize, usize, usize, usize); 4] =
    [(9, 3, 64, 576, 1536), (14, 2, 64, 896, 4864), (4, 4, 64, 96, 32), (7, 1, 128, 3584, 512)];

pub(crate) fn check(gpu: &Arc<Gpu>, quick: bool) {
    for (heads, kv_heads, dim, hidden, ffn) in SHAPES {
        for rows in [8, 16, 32, 64, 128, 256, 384, 512, 1024] {
            let many = rows > 256;
            if quick && !(rows == 16 || rows == 64 && hidden == 576) || many && hidden > 576 {
                continue;
            }
            for format in [Format::Half, Format::Fp8] {
                println!(
                    "project: {heads}/{kv_heads} heads of {dim}, hidden {hidden}, ffn {ffn}, {rows} rows, {format}"
                );
                qkv(gpu, format, rows, heads, kv_heads, dim, hidden);
                add(gpu, format, rows, hidden, ffn);
                gate(gpu, format, rows, hidden, ffn);
            }
        }
    }
    for format in [Format::Half, Format::Fp8] {
        same_bits(gpu, format);
    }
}

/// Rows (rows, n) of x (rows, k) times w (n, k) in f64, each divided by the row's RMS if `norm`.
fn product(x: &[f64], w: &[f64], k: usize, norm: bool) -> Vec<f64> {
    let mut out = Vec::with_capacity(x.len() / k * (w.len() / k));
    for x in x.chunks_exact(k) {
        let squares: f64 = x.iter().map(|v| v * v).sum();
        let scale = if norm { 1.0 / (squares / k as f64 + f64::from(EPS)).sqrt() } else { 1.0 };
        out.extend(w.chunks_exact(k).map(|w| scale * x.iter().zip(w).map(|(a, b)| a * b).sum::<f64>()));
    }
    out
}

fn qkv(
    gpu: &Arc<Gpu>,
    format: Format,
    rows: usize,
    heads: usize,
    kv_heads: usize,
    dim: usize,
    hidden: usize,
) {
    let mut noise = Noise(rows as u64);
    let (at, used, slot, layers, layer, capacity) = (5, rows - 3, 1, 2, 1, 1088);
    let (q_width, kv_width) = (heads * dim, kv_heads * dim);
    let n = q_width + 2 * kv_width;
    let (x, w) = (noise.values(rows * hidden, 3.0), noise.values(n * hidden, 0.1));
    // Queries and keys by pairs, values as they are.
    let source = |i: usize| {
        let rotated = q_width + kv_width;
        if i < rotated { rotary_row(i, dim, false) } else { i }
    };
    let (weights, w) = packed(format, &w, hidden, source);
    let weights = Weights::new(gpu, &weights).unwrap();
    let bias: Vec<f32> = (0..n).map(|_| noise.next()).collect();
    let packed_bias: Vec<f32> = (0..n).map(|i| bias[source(i)]).collect();
    let turns: Vec<[f32; 2]> = (0..capacity * dim / 2).map(|_| [noise.next(), noise.next()]).collect();
    let rope = Buffer::from_slice(gpu, &turns).unwrap();
    let caches = Caches::new(gpu, 2, layers, kv_heads, dim, capacity).unwrap();
    let queries = poison(gpu, rows * q_width);
    let (bias_buffer, x_buffer) =
        (Buffer::from_slice(gpu, &packed_bias).unwrap(), Buffer::from_slice(gpu, &x).unwrap());
    let project = Project::Qkv {
        rope: &rope,
        bias: Some(&bias_buffer),
        caches: &caches,
        layer,
        queries: &queries,
        eps: EPS,
    };
    project.launch(gpu, rows, &weights, &x_buffer, &state(gpu, at, used, true, slot)).unwrap();

    let mut expected = product(&worth(&x), &w, hidden, true);
    for (row, expected) in expected.chunks_exact_mut(n).enumerate() {
        expected.iter_mut().zip(&bias).for_each(|(x, b)| *x += f64::from(*b));
        for head in expected[..q_width + kv_width].chunks_exact_mut(dim) {
            for i in 0..dim / 2 {
                let [cos, sin] = turns[(at + row) * dim / 2 + i].map(f64::from);
                let (a, b) = (head[i], head[i + dim / 2]);
                (head[i], head[i + dim / 2]) = (a * cos - b * sin, b * cos + a * sin);
            }
        }
    }
    let got = queries.read(0, rows * q_width).unwrap();
    let part = |from: usize, width: usize| -> Vec<f64> {
        expected.chunks_exact(n).take(used).flat_map(|row| row[from..from + width].to_vec()).collect()
    };
    report("queries", distance(&got[..used * q_width], &part(0, q_width)));
    // Padding rows are written as well, whatever they hold.
    assert!(got.iter().all(|x| x.to_f32().is_finite()));
    let (keys, values) = (caches.read_keys(slot, layer).unwrap(), caches.read_values(slot, layer).unwrap());
    let (mut got_keys, mut got_values, mut written) = (Vec::new(), Vec::new(), 0);
    for row in 0..used {
        for i in 0..kv_width {
            let (head, d) = (i / dim, i % dim);
            got_keys.push(keys[caches.key_index(head, at + row, d)]);
            got_values.push(values[caches.value_index(head, at + row, d)]);
        }
    }
    report("keys", distance(&got_keys, &part(q_width, kv_width)));
    report("values", distance(&got_values, &part(q_width + kv_width, kv_width)));
    for cache in [keys, values, caches.read_keys(0, layer).unwrap(), caches.read_values(slot, 0).unwrap()] {
        written += cache.iter().filter(|x| x.to_f32() != 0.0).count();
    }
    assert!(written <= 2 * used * kv_width, "a padding row, slot or layer was written");
}

fn add(gpu: &Arc<Gpu>, format: Format, rows: usize, hidden: usize, ffn: usize) {
    let mut noise = Noise(7 + rows as u64);
    let (a, w) = (noise.values(rows * ffn, INPUT_SCALE), noise.values(hidden * ffn, 0.1));
    let x: Vec<f32> = (0..rows * hidden).map(|_| noise.next()).collect();
    let (weights, w) = packed(format, &w, ffn, |i| i);
    let weights = Weights::new(gpu, &weights).unwrap();
    let (stream, copy) = (Buffer::from_slice(gpu, &x).unwrap(), poison(gpu, rows * hidden));
    let input = Buffer::from_slice(gpu, &a).unwrap();
    Project::Add(&stream, &copy).launch(gpu, rows, &weights, &input, &state(gpu, 0, rows, true, 0)).unwrap();
    let mut expected = product(&worth(&a), &w, ffn, false);
    expected.iter_mut().zip(&x).for_each(|(e, x)| *e += f64::from(*x));
    let copy = copy.read(0, rows * hidden).unwrap();
    let kept: Vec<f64> = expected.iter().map(|x| x * f64::from(INPUT_SCALE)).collect();
    report("residual copy", distance(&copy, &kept));
    let stream = stream.read(0, rows * hidden).unwrap();
    let worst = stream.iter().zip(&expected).map(|(g, e)| (f64::from(*g) - e).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-3, "residual stream off by {worst}");
    assert!(
        stream.iter().zip(&copy).all(|(x, c)| Half::from_f32(*x * INPUT_SCALE) == *c),
        "copy differs from the stream"
    );
}

fn gate(gpu: &Arc<Gpu>, format: Format, rows: usize, hidden: usize, ffn: usize) {
    let mut noise = Noise(9 + rows as u64);
    let (x, w) = (noise.values(rows * hidden, 0.01 * INPUT_SCALE), noise.values(2 * ffn * hidden, 0.2));
    let (weights, w) = packed(format, &w, hidden, |i| {
        let (up, row) = gate_up_row(i);
        row + if up { ffn } else { 0 }
    });
    let weights = Weights::new(gpu, &weights).unwrap();
    let (out, input) = (poison(gpu, rows * ffn), Buffer::from_slice(gpu, &x).unwrap());
    Project::Gate(&out, EPS).launch(gpu, rows, &weights, &input, &state(gpu, 0, rows, true, 0)).unwrap();
    let both = product(&worth(&x), &w, hidden, true);
    let gated = |row: &[f64]| -> Vec<f64> {
        let kept = f64::from(INPUT_SCALE);
        (0..ffn).map(|i| row[i] / (1.0 + (-row[i]).exp()) * row[i + ffn] * kept).collect()
    };
    let expected: Vec<f64> = both.chunks_exact(2 * ffn).flat_map(gated).collect();
    report("gated rows", distance(&out.read(0, rows * ffn).unwrap(), &expected));
}

/// A row's result is the same bits in every bucket: that is what makes a verified token equal to a causal one, and a text
/// independent of what was cached before.
fn same_bits(gpu: &Arc<Gpu>, format: Format) {
    const MOST: usize = 1024;
    let (heads, kv_heads, dim, hidden, ffn) = SHAPES[0];
    let mut noise = Noise(3);
    let mut weights = |rows: usize, cols: usize| {
        let w = noise.values(rows * cols, 0.1);
        Weights::new(gpu, &packed(format, &w, cols, |i| i).0).unwrap()
    };
    let (qkv, add, gate) =
        (weights((heads + 2 * kv_heads) * dim, hidden), weights(hidden, ffn), weights(2 * ffn, hidden));
    let wide = Buffer::from_slice(gpu, &noise.values(MOST * ffn, 1.0)).unwrap();
    let turns: Vec<[f32; 2]> = (0..MOST * dim / 2).map(|_| [noise.next(), noise.next()]).collect();
    let rope = Buffer::from_slice(gpu, &turns).unwrap();
    let run = |rows: usize| -> [Vec<Half>; 4] {
        let state = state(gpu, 0, rows, true, 0);
        let stream = Buffer::from_slice(gpu, &vec![0.5; rows * hidden]).unwrap();
        let (copy, gated, queries) =
            (poison(gpu, rows * hidden), poison(gpu, rows * ffn), poison(gpu, rows * heads * dim));
        let caches = Caches::new(gpu, 1, 1, kv_heads, dim, MOST).unwrap();
        let project =
            Project::Qkv { rope: &rope, bias: None, caches: &caches, layer: 0, queries: &queries, eps: EPS };
        project.launch(gpu, rows, &qkv, &wide, &state).unwrap();
        Project::Add(&stream, &copy).launch(gpu, rows, &add, &wide, &state).unwrap();
        Project::Gate(&gated, EPS).launch(gpu, rows, &gate, &wide, &state).unwrap();
        let (keys, values) = (caches.read_keys(0, 0).unwrap(), caches.read_values(0, 0).unwrap());
        let cached = (0..rows.min(64) * kv_heads * dim).flat_map(|i| {
            let (position, head, d) = (i / (kv_heads * dim), i / dim % kv_heads, i % dim);
            [keys[caches.key_index(head, position, d)], values[caches.value_index(head, position, d)]]
        });
        let all = |x: &Buffer<Half>| x.read(0, x.len()).unwrap();
        [all(&queries), all(&copy), all(&gated), cached.collect()]
    };
    let most = run(MOST);
    for rows in [8, 16, 32, 64, 128, 256, 384, 512, 768] {
        for (what, (few, many)) in
            ["queries", "residual", "gated", "cache"].iter().zip(run(rows).iter().zip(&most))
        {
            assert!(few[..] == many[..few.len()], "{what} of {rows} rows: other bits than of {MOST}");
        }
    }
    println!("project: {format}: the same bits in every bucket");
}
