//! A file that is not the model is refused with what is wrong and what to do.

use std::path::{Path, PathBuf};

use cinnabar_engine::config::Config;
use cinnabar_engine::gguf::Gguf;
use cinnabar_engine::tokenizer::Tokenizer;
use cinnabar_engine::{Device, LoadOptions, load};
use tempfile::TempDir;

use crate::support::{config, model_file, shipped};

/// Copies the shipped model into a folder, with one file changed.
fn damaged(name: &str, damage: impl FnOnce(&mut Vec<u8>)) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    for file in std::fs::read_dir(model_file(".")).unwrap() {
        let path = file.unwrap().path();
        let is_model = path.extension().is_some_and(|e| e == "gguf" || e == "json");
        if is_model && path.file_name().unwrap() != name {
            std::fs::hard_link(&path, folder.path().join(path.file_name().unwrap()))
                .or_else(|_| std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).map(|_| ()))
                .unwrap();
        }
    }
    let mut bytes = std::fs::read(model_file(name)).unwrap();
    damage(&mut bytes);
    std::fs::write(folder.path().join(name), bytes).unwrap();
    let first = folder.path().join(shipped().file_name().unwrap());
    (folder, first)
}

fn refusal(path: &Path) -> String {
    let options = LoadOptions { model: path.into(), device: Device::Cpu, ..LoadOptions::default() };
    let error = load(&options).err().expect("the file is damaged").to_string();
    assert!(error.contains("hint:") || error.contains("cannot read"), "no way out in {error:?}");
    error
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|w| w == from).expect("the file holds the text");
    bytes[at..at + to.len()].copy_from_slice(to);
}

const FIRST: &str = "cinnabar-135m-q8_0-00001-of-00002.gguf";
const SECOND: &str = "cinnabar-135m-q8_0-00002-of-00002.gguf";

#[test]
fn missing_files_are_named() {
    let folder = TempDir::new().unwrap();
    assert!(refusal(&folder.path().join("model.gguf")).contains("model.gguf"));
    let (folder, first) = damaged(SECOND, |_| ());
    std::fs::remove_file(folder.path().join(SECOND)).unwrap();
    assert!(refusal(&first).contains(SECOND));
    let (folder, first) = damaged("tokenizer.json", |_| ());
    std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    assert!(refusal(&first).contains("tokenizer.json"));
}

#[test]
fn damaged_files_are_refused() {
    type Damage = fn(&mut Vec<u8>);
    let cases: [(&str, Damage, &str); 9] = [
        (FIRST, |b| b.clear(), "not a GGUF file"),
        (FIRST, |b| b.truncate(1000), "cut short"),
        (FIRST, |b| b.truncate(80_000_000), "cut short"),
        (SECOND, |b| b.truncate(b.len() - 1), "cut short"),
        (FIRST, |b| b[4] = 9, "version 9"),
        (FIRST, |b| replace(b, b"llama\x0c\0", b"mamba\x0c\0"), "architecture mamba"),
        (
            FIRST,
            |b| replace(b, b"sep-spm-stem-2", b"sep-spm-tail-1"),
            "layout \"sep-spm-tail-1\", \"sep-spm-stem-2\" is expected",
        ),
        (
            FIRST,
            |b| replace(b, b"blk.3.attn_k.weight", b"blk.3.attn_z.weight"),
            "blk.3.attn_k.weight is missing",
        ),
        ("tokenizer.json", |b| b.truncate(5000), "not a tokenizer"),
    ];
    for (file, damage, expected) in cases {
        let (_folder, first) = damaged(file, damage);
        let error = refusal(&first);
        assert!(error.contains(expected), "{expected:?} is not in {error:?}");
    }
}

#[test]
fn wrong_shapes_are_refused() {
    // The dimensions of blk.0.attn_norm.weight follow its name: u32 rank, then u64 576.
    let name = b"blk.0.attn_norm.weight";
    let (_folder, first) = damaged(FIRST, |b| {
        let at = b.windows(name.len()).position(|w| w == name).unwrap() + name.len();
        assert_eq!(&b[at..at + 6], [1, 0, 0, 0, 0x40, 2]);
        b[at + 4] = 0x20;
    });
    let error = refusal(&first);
    assert!(error.contains("blk.0.attn_norm.weight has shape [544], [576] is expected"), "{error}");
}

/// A header cut anywhere, or with any byte changed, is an error or a model; never a panic.
#[test]
fn no_header_panics() {
    let bytes = std::fs::read(model_file(SECOND)).unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.gguf");
    let open = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let _ = Gguf::open(&path).and_then(|gguf| Config::from_gguf(&gguf));
    };
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..300 {
        open(&bytes[..rng.usize(..9000)]);
        let mut flipped = bytes[..12_000].to_vec();
        for _ in 0..4 {
            let at = rng.usize(..9000);
            flipped[at] = rng.u8(..);
        }
        open(&flipped);
    }
}

/// The two shards joined into one file load as the same model.
#[test]
fn a_single_file_loads_as_well() {
    let split = Gguf::open(&shipped()).unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cinnabar-135m-q8_0.gguf");
    std::fs::write(&path, join(&[FIRST, SECOND])).unwrap();
    let single = Gguf::open(&path).unwrap();
    assert_eq!(Config::from_gguf(&single).unwrap(), config());
    assert_eq!(single.tensor_count(), split.tensor_count());
    for name in ["token_embd.weight", "blk.0.ffn_down.weight", "blk.29.ffn_down.weight"] {
        let (rows, cols) = if name.starts_with("token") { (49152, 576) } else { (576, 1536) };
        assert!(single.q8_0(name, rows, cols).unwrap() == split.q8_0(name, rows, cols).unwrap(), "{name}");
    }
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let error = Tokenizer::open(&model_file("tokenizer.json"), 32000).err().unwrap().to_string();
    assert!(error.contains("49152 tokens, the model has 32000"), "{error}");
}

/// Writes the shards' tensors into one GGUF file: metadata of the first without `split.*`, all tensor entries, all data.
fn join(names: &[&str]) -> Vec<u8> {
    let mut keys = Vec::new();
    let (mut n_keys, mut entries, mut data, mut n_tensors) = (0u64, Vec::new(), Vec::new(), 0u64);
    for (i, name) in names.iter().enumerate() {
        let bytes = std::fs::read(model_file(name)).unwrap();
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let half = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let mut at = 24;
        for _ in 0..word(16) {
            let start = at;
            at += 8 + word(at) as usize;
            let split = bytes[start + 8..at].starts_with(b"split.");
            let kind = half(at);
            at = value_end(&bytes, at + 4, kind);
            if i == 0 && !split {
                keys.extend_from_slice(&bytes[start..at]);
                n_keys += 1;
            }
        }
        let base = data.len() as u64;
        for _ in 0..word(8) {
            let start = at;
            at += 8 + word(at) as usize;
            at += 4 + 8 * half(at) as usize + 4;
            entries.extend_from_slice(&bytes[start..at]);
            entries.extend_from_slice(&(base + word(at)).to_le_bytes());
            at += 8;
            n_tensors += 1;
        }
        data.extend_from_slice(&bytes[at.next_multiple_of(32)..]);
        data.resize(data.len().next_multiple_of(32), 0);
    }
    let mut out = b"GGUF\x03\0\0\0".to_vec();
    out.extend_from_slice(&n_tensors.to_le_bytes());
    out.extend_from_slice(&n_keys.to_le_bytes());
    out.extend_from_slice(&keys);
    out.extend_from_slice(&entries);
    out.resize(out.len().next_multiple_of(32), 0);
    out.extend_from_slice(&data);
    out
}

/// Where a metadata value ends.
fn value_end(bytes: &[u8], at: usize, kind: u32) -> usize {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    match kind {
        0 | 1 | 7 => at + 1,
        2 | 3 => at + 2,
        4..=6 => at + 4,
        8 => at + 8 + word(at),
        9 => {
            let kind = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            (0..word(at + 4)).fold(at + 12, |at, _| value_end(bytes, at, kind))
        }
        _ => at + 8,
    }
}
