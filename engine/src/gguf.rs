//! GGUF files (version 2 and 3), single or split, mapped into memory and checked before use.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>; a split model's shards are named
//! `NAME-00001-of-00002.gguf` and so on, and the first one carries the metadata.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::{Advice, Mmap, UncheckedAdvice};

use crate::error::EngineError;

mod cursor;
use cursor::Cursor;

/// Weights in a block of Q8_0.
pub const Q8_0_WEIGHTS: usize = 32;
/// Bytes of a block of Q8_0: an f16 scale and 32 signed bytes.
pub const Q8_0_BYTES: usize = 34;

const REINSTALL: &str = "copy or download the model again; `cinnabar model check` verifies it";
const TYPE_F32: u32 = 0;
const TYPE_Q8_0: u32 = 8;

/// A mapped model file with its metadata and tensor table.
#[derive(Debug)]
pub struct Gguf {
    path: PathBuf,
    shards: Vec<Shard>,
    metadata: HashMap<String, Value>,
    tensors: HashMap<String, Tensor>,
}

#[derive(Debug)]
struct Shard {
    map: Mmap,
    /// Where tensor data starts in the map.
    data: usize,
}

/// A metadata value. Arrays (the vocabulary) are skipped: `tokenizer.json` is what the engine reads.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Integer(i128),
    Float(f64),
    Bool(bool),
    Text(String),
    Array,
}

/// An entry of the tensor table; dimensions are innermost first, as in the file.
#[derive(Debug)]
struct Tensor {
    shard: usize,
    offset: usize,
    dims: Vec<usize>,
    kind: u32,
}

impl Gguf {
    /// Opens a GGUF file, or every shard of the split model that it belongs to.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let mut gguf =
            Gguf { path: path.into(), shards: Vec::new(), metadata: HashMap::new(), tensors: HashMap::new() };
        for shard in shard_paths(path) {
            gguf.add_shard(&shard)?;
        }
        let count = gguf.shards.len();
        if let Some(Value::Integer(expected)) = gguf.metadata.get("split.count")
            && *expected != count as i128
        {
            let what = format!("is a shard of {expected}, but its name says {count}");
            return Err(gguf.bad(what, "keep the shards' names as they were published"));
        }
        if let Some(Value::Integer(expected)) = gguf.metadata.get("split.tensors.count")
            && *expected != gguf.tensors.len() as i128
        {
            return Err(gguf.bad(
                format!("holds {} tensors in all shards, {expected} were promised", gguf.tensors.len()),
                REINSTALL,
            ));
        }
        Ok(gguf)
    }

    fn add_shard(&mut self, path: &Path) -> Result<(), EngineError> {
        let unreadable =
            |e: std::io::Error| EngineError::Unreadable { path: path.into(), reason: e.to_string() };
        let map = map(&File::open(path).map_err(unreadable)?).map_err(unreadable)?;
        let bad =
            |what: String| EngineError::BadModel { path: path.into(), what, hint: REINSTALL.to_string() };
        let table = read_header(&map).map_err(bad)?;
        let shard = self.shards.len();
        for (name, tensor) in table.tensors {
            let bytes =
                tensor_bytes(&tensor).ok_or_else(|| bad(format!("{name}: impossible shape or type")))?;
            let end = table.data.checked_add(tensor.offset).and_then(|at| at.checked_add(bytes));
            if end.is_none_or(|end| end > map.len()) {
                let has = map.len();
                return Err(bad(format!("is cut short: tensor {name} ends behind the file's {has} bytes")));
            }
            if self.tensors.insert(name.clone(), Tensor { shard, ..tensor }).is_some() {
                return Err(bad(format!("holds tensor {name} twice")));
            }
        }
        // Shards repeat `split.*`; everything else comes from the first.
        for (key, value) in table.metadata {
            self.metadata.entry(key).or_insert(value);
        }
        self.shards.push(Shard { map, data: table.data });
        Ok(())
    }

    /// The file that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of tensors in all shards.
    pub fn tensor_count(&self) -> usize {
        self.tensors.len()
    }

    /// True when the file holds the tensor.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A whole number that must be there and fit.
    pub fn integer<T: TryFrom<i128>>(&self, key: &str) -> Result<T, EngineError> {
        match self.metadata.get(key) {
            Some(Value::Integer(x)) => T::try_from(*x).map_err(|_| self.wrong_key(key, "out of range")),
            Some(_) => Err(self.wrong_key(key, "not a whole number")),
            None => Err(self.wrong_key(key, "missing")),
        }
    }

    /// A number that must be there.
    pub fn float(&self, key: &str) -> Result<f32, EngineError> {
        match self.metadata.get(key) {
            Some(Value::Float(x)) => Ok(*x as f32),
            Some(Value::Integer(x)) => Ok(*x as f32),
            Some(_) => Err(self.wrong_key(key, "not a number")),
            None => Err(self.wrong_key(key, "missing")),
        }
    }

    /// A text, if it is there.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.metadata.get(key) {
            Some(Value::Text(x)) => Some(x),
            _ => None,
        }
    }

    /// The Q8_0 blocks of a matrix (rows, cols), row-major, 34 bytes for every 32 columns.
    pub fn q8_0(&self, name: &str, rows: usize, cols: usize) -> Result<&[u8], EngineError> {
        self.tensor(name, TYPE_Q8_0, &[cols, rows])
    }

    /// A vector of f32.
    pub fn f32(&self, name: &str, len: usize) -> Result<Vec<f32>, EngineError> {
        let bytes = self.tensor(name, TYPE_F32, &[len])?;
        Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    fn tensor(&self, name: &str, kind: u32, dims: &[usize]) -> Result<&[u8], EngineError> {
        let hint = "this build reads LLaMA-shaped models in Q8_0 with the `cinnabar.*` metadata";
        let Some(tensor) = self.tensors.get(name) else {
            return Err(self.bad(format!("tensor {name} is missing"), hint));
        };
        if tensor.dims != dims {
            let what = format!("tensor {name} has shape {:?}, {dims:?} is expected", tensor.dims);
            return Err(self.bad(what, hint));
        }
        if tensor.kind != kind {
            let what = format!("tensor {name} has GGML type {}, {kind} is expected", tensor.kind);
            return Err(self.bad(what, hint));
        }
        let shard = &self.shards[tensor.shard];
        let start = shard.data + tensor.offset;
        let bytes = tensor_bytes(tensor).expect("sizes were checked when the file was opened");
        Ok(&shard.map[start..start + bytes])
    }

    /// Tells the system that the mapped pages are not needed for now, after the weights were repacked.
    pub fn release_pages(&self) {
        for shard in &self.shards {
            drop_pages(&shard.map);
        }
    }

    /// An error about this file.
    pub fn bad(&self, what: impl Into<String>, hint: impl Into<String>) -> EngineError {
        EngineError::BadModel { path: self.path.clone(), what: what.into(), hint: hint.into() }
    }

    fn wrong_key(&self, key: &str, problem: &str) -> EngineError {
        self.bad(
            format!("metadata {key} is {problem}"),
            "the model must carry the `cinnabar.*` layout metadata; plain chat models cannot fill a span",
        )
    }
}

/// Every shard of the split model that `path` is one of, or `path` alone.
fn shard_paths(path: &Path) -> Vec<PathBuf> {
    let parse = || {
        let stem = path.file_name()?.to_str()?.strip_suffix(".gguf")?;
        let (rest, count) = stem.rsplit_once("-of-")?;
        let (name, number) = rest.rsplit_once('-')?;
        let digits = |s: &str| s.len() == 5 && s.bytes().all(|b| b.is_ascii_digit());
        let count: usize = (digits(number) && digits(count)).then(|| count.parse().ok())??;
        Some((1..=count).map(|i| path.with_file_name(format!("{name}-{i:05}-of-{count:05}.gguf"))).collect())
    };
    parse().filter(|p: &Vec<_>| !p.is_empty()).unwrap_or_else(|| vec![path.to_path_buf()])
}

/// The one place that maps weight files.
#[expect(
    unsafe_code,
    reason = "mapping a file is inherently unsafe: the borrow checker cannot see other processes"
)]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the mapping is private and read-only. A process that truncates the file while it is mapped makes
    // reads of the lost pages fault; model files are replaced by renaming, never edited in place, and every
    // llama.cpp-family program relies on the same.
    let map = unsafe { Mmap::map(file)? };
    // Readahead is a hint: a failure costs speed alone.
    let _ = map.advise(Advice::WillNeed);
    Ok(map)
}

#[expect(
    unsafe_code,
    reason = "MADV_DONTNEED is unchecked because it may discard data of private writable maps"
)]
fn drop_pages(map: &Mmap) {
    // SAFETY: the map is read-only and file-backed, so pages dropped here are read from the file again.
    let _ = unsafe { map.unchecked_advise(UncheckedAdvice::DontNeed) };
}

fn tensor_bytes(tensor: &Tensor) -> Option<usize> {
    let elements = tensor.dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
    match tensor.kind {
        TYPE_F32 => elements.checked_mul(4),
        TYPE_Q8_0 if tensor.dims.first()? % Q8_0_WEIGHTS == 0 => {
            (elements / Q8_0_WEIGHTS).checked_mul(Q8_0_BYTES)
        }
        // Types that this build cannot read are refused when they are asked for; the table may list them.
        _ => Some(0),
    }
}

struct Table {
    metadata: Vec<(String, Value)>,
    tensors: Vec<(String, Tensor)>,
    data: usize,
}

/// Reads the header; the error says what is wrong with the file.
fn read_header(bytes: &[u8]) -> Result<Table, String> {
    if bytes.len() < 24 || &bytes[..4] != b"GGUF" {
        return Err("is not a GGUF file".into());
    }
    let mut cursor = Cursor::new(bytes, 4);
    let version = cursor.u32()?;
    if !(2..=3).contains(&version) {
        return Err(format!("is GGUF version {version}, 2 or 3 is expected"));
    }
    let (n_tensors, n_keys) = (cursor.u64()?, cursor.u64()?);
    let mut metadata = Vec::new();
    for _ in 0..n_keys {
        let key = cursor.text()?;
        let kind = cursor.u32()?;
        metadata.push((key, cursor.value(kind)?));
    }
    let mut tensors = Vec::new();
    for _ in 0..n_tensors {
        let name = cursor.text()?;
        let rank = cursor.u32()?;
        if rank > 4 {
            return Err(format!("tensor {name} has {rank} dimensions"));
        }
        let dims = (0..rank).map(|_| cursor.size()).collect::<Result<_, _>>()?;
        let kind = cursor.u32()?;
        tensors.push((name, Tensor { shard: 0, offset: cursor.size()?, dims, kind }));
    }
    let alignment = metadata.iter().find_map(|(k, v)| match v {
        Value::Integer(x) if k == "general.alignment" => usize::try_from(*x).ok(),
        _ => None,
    });
    let alignment = alignment.unwrap_or(32);
    if alignment == 0 || !alignment.is_power_of_two() {
        return Err(format!("has alignment {alignment}"));
    }
    Ok(Table { metadata, tensors, data: cursor.position().next_multiple_of(alignment) })
}
