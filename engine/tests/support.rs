//! The shipped model and the golden prompts that came with it.

use std::path::PathBuf;

use cinnabar_engine::config::Config;
use cinnabar_engine::gguf::Gguf;
use cinnabar_engine::tokenizer::Tokenizer;
use cinnabar_engine::{Device, DocumentId, LoadOptions, Prompt, Request};
use serde_json::Value;

/// A file of the shipped model.
pub(crate) fn model_file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "model/cinnabar-135m", name].iter().collect()
}

/// The first shard of the shipped model.
pub(crate) fn shipped() -> PathBuf {
    model_file("cinnabar-135m-q8_0-00001-of-00002.gguf")
}

/// The shipped model, exact: golden files are of f32.
pub(crate) fn options(device: Device) -> LoadOptions {
    LoadOptions { model: shipped(), device, exact: true, ..LoadOptions::default() }
}

pub(crate) fn config() -> Config {
    Config::from_gguf(&Gguf::open(&shipped()).unwrap()).unwrap()
}

pub(crate) fn tokenizer() -> Tokenizer {
    Tokenizer::open(&model_file("tokenizer.json"), config().vocab).unwrap()
}

/// One prompt of `golden.json`.
pub(crate) struct Golden {
    pub(crate) prompt: Prompt,
    pub(crate) stream: Vec<u32>,
    pub(crate) stem: String,
    /// The tokens that hold the stem; all but the last stand before the blocks.
    pub(crate) opening: Vec<u32>,
    pub(crate) masked_block: Vec<u32>,
    pub(crate) half_block: Vec<u32>,
    json: Value,
}

impl Golden {
    /// Ids, text and forward passes of a decoding mode.
    pub(crate) fn mode(&self, name: &str) -> (Vec<u32>, &str, usize) {
        let mode = &self.json[name];
        (ids(&mode["ids"]), mode["text"].as_str().unwrap(), mode["forwards"].as_u64().unwrap() as usize)
    }

    /// What stands between the stream and a block, and where the block starts.
    pub(crate) fn before_block(&self) -> (&[u32], usize) {
        let (_, before) = self.opening.split_last().unwrap();
        (before, self.stream.len() + before.len())
    }

    pub(crate) fn request(&self) -> Request {
        Request::new(DocumentId(0), self.prompt.clone())
    }
}

pub(crate) fn goldens() -> Vec<Golden> {
    let text = std::fs::read_to_string(model_file("golden.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(cases.len() >= 10, "golden.json has lost its prompts");
    cases
        .into_iter()
        .map(|json| Golden {
            prompt: Prompt {
                snippets: Vec::new(),
                path: json["path"].as_str().map(str::to_string),
                prefix: json["prefix"].as_str().unwrap().to_string(),
                suffix: json["suffix"].as_str().unwrap().to_string(),
            },
            stream: ids(&json["stream"]),
            stem: json["stem"].as_str().unwrap().to_string(),
            opening: ids(&json["opening"]),
            masked_block: ids(&json["masked_block"]),
            half_block: ids(&json["half_block"]),
            json,
        })
        .collect()
}

fn ids(json: &Value) -> Vec<u32> {
    json.as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as u32).collect()
}
