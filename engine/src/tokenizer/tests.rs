//! Texts that were tokenised before have their ids from pieces that are remembered: the same as from the text as a whole.

use std::path::PathBuf;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use tokenizers::Tokenizer as Bpe;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::BpeTrainer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::Tokenizer;

/// A tokeniser as the engine has it, and as its crate does.
struct Pair {
    name: &'static str,
    ours: Tokenizer,
    whole: Bpe,
}

impl Pair {
    fn new(name: &'static str, json: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        std::fs::write(&path, json.to_string()).unwrap();
        let mut whole = Bpe::from_file(&path).unwrap();
        whole.set_encode_special_tokens(true);
        Pair { name, ours: Tokenizer::open(&path, whole.get_vocab_size(true)).unwrap(), whole }
    }

    /// A small vocabulary that is learnt from the samples.
    fn learnt(name: &'static str, steps: &Value) -> Self {
        let normalizer = if name == "Qwen2" { json!({ "type": "NFC" }) } else { Value::Null };
        let decoder = json!({
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false
        });
        let empty = json!({
            "version": "1.0",
            "added_tokens": [],
            "normalizer": normalizer,
            "pre_tokenizer": { "type": "Sequence", "pretokenizers": steps },
            "decoder": decoder,
            "model": { "type": "BPE", "vocab": {}, "merges": [] },
        });
        let mut bpe = Bpe::from_bytes(empty.to_string()).unwrap();
        let alphabet = ByteLevel::alphabet().into_iter().collect();
        let trainer = BpeTrainer::builder().show_progress(false).vocab_size(1200).initial_alphabet(alphabet);
        let samples = SAMPLES.iter().chain(&MORE);
        bpe.train(&mut TrainerWrapper::BpeTrainer(trainer.build()), samples).unwrap();
        Pair::new(name, &serde_json::to_value(&bpe).unwrap())
    }

    fn whole(&self, text: &str) -> Vec<u32> {
        self.whole.encode_fast(text, false).unwrap().get_ids().to_vec()
    }
}

/// The shipped `tokenizer.json`.
fn shipped() -> Value {
    let path: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "..", "model/cinnabar-135m", "tokenizer.json"].iter().collect();
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

const SAMPLES: [&str; 4] = [
    include_str!("../../../tests/data/samples/lru_cache.py"),
    include_str!("../../../tests/data/samples/debounce.ts"),
    include_str!("../../../tests/data/samples/ring_buffer.rs"),
    include_str!("../../../tests/data/samples/worker_pool.go"),
];

/// What code has less of, often enough that it becomes tokens.
const MORE: [&str; 2] = [
    "a += b == c; x = = y; if (!(a < = 1)) { };\n    } );\n\n  f ( ) ; . , ? !\r\n\t} ) ;\n",
    "it's they'll I'VE e\u{301} größe 12 345 67 8. 9, 10 \u{a0} \u{3000} 日本 語 हिन्दी हि = हि\n",
];

/// The shipped tokeniser, and the steps in which others part text.
static TOKENIZERS: LazyLock<Vec<Pair>> = LazyLock::new(|| {
    let split = |regex: &str| json!({ "type": "Split", "pattern": { "Regex": regex }, "behavior": "Isolated", "invert": false });
    let bytes = |regex: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex });
    let digits = |individual: bool| json!({ "type": "Digits", "individual_digits": individual });
    let qwen2 = [
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ];
    let gpt_oss = [
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ];
    let deepseek_v3 = [
        r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##,
        r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ];
    let others = [
        ("GPT-2", json!([bytes(true)])),
        ("StarCoder2", json!([digits(true), bytes(true)])),
        ("Qwen2", json!([split(&qwen2.concat()), bytes(false)])),
        ("Llama 3", json!([split(&[qwen2[0], "{1,3}", qwen2[1]].concat()), bytes(false)])),
        ("gpt-oss", json!([split(&gpt_oss.concat()), bytes(false)])),
        (
            "DeepSeek-Coder",
            json!([
                split(r"[\r\n]"),
                split(r"\s?\p{L}+"),
                split(r"\s?\p{P}+"),
                split("[一-龥ࠀ-一가-퟿]+"),
                digits(true),
                bytes(false)
            ]),
        ),
        (
            "DeepSeek-V3",
            json!([
                split(r"\p{N}{1,3}"),
                split("[一-龥぀-ゟ゠-ヿ]+"),
                split(&deepseek_v3.concat()),
                bytes(false)
            ]),
        ),
        (
            "Falcon",
            json!([
                { "type": "Punctuation", "behavior": "Contiguous" },
                bytes(true),
                digits(false),
                split("[0-9][0-9][0-9]")
            ]),
        ),
        ("BLOOM", json!([split(r" ?[^(\s|[.,!?…。，、।۔،])]+"), bytes(false)])),
        // Its tokens go from word to word.
        ("SuperBPE", json!([split(r"\p{N}+"), split(r"(?=(\d{3})+(?!\d))"), bytes(false)])),
    ];
    let others = others.into_iter().map(|(name, steps)| Pair::learnt(name, &steps));
    std::iter::once(Pair::new("Cinnabar", &shipped())).chain(others).collect()
});

/// What tokenisers part in ways of their own.
const COMMON: [&str; 8] = ["= =", ". ,", ");\n", "'s", "'LL", "<|mask|>", "    return", " == "];
const STRANGE: [&str; 11] =
    ["\u{301}", "e\u{301}", "\u{a0}", "\u{3000}", "\u{200b}", "\u{85}", "²", "日本", "हि", "…", "、"];

/// Pieces of code, of prose and of what is neither.
fn text(atoms: usize) -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        8 => "[a-zA-Z_]{1,7}",
        2 => "[0-9]{1,5}",
        8 => " {1,2}",
        1 => " {3,9}",
        3 => "\n {0,8}",
        1 => "[\r\n\t ]{1,4}",
        6 => r#"[-+=<>.,:;(){}\[\]'"|/!?$`~^&*#@]{1,3}"#,
        2 => select(&COMMON[..]).prop_map_into(),
        2 => select(&STRANGE[..]).prop_map_into(),
        1 => r"\PC{1,3}",
    ];
    prop::collection::vec(atom, 0..atoms).prop_map(|atoms| atoms.concat())
}

/// The text with some characters from `at` on replaced.
fn edited(text: &str, at: Index, removed: usize, inserted: &str) -> String {
    let from = at.index(text.chars().count() + 1);
    let rest = text.chars().skip(from + removed);
    text.chars().take(from).chain(inserted.chars()).chain(rest).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_become_what_the_whole_becomes(
        text in text(150),
        edits in prop::collection::vec((any::<Index>(), 0usize..12, text(6)), 1..5),
    ) {
        for pair in &*TOKENIZERS {
            let mut text = text.clone();
            prop_assert_eq!(pair.ours.encode(&text), pair.whole(&text), "{}: {:?}", pair.name, text);
            for (at, removed, inserted) in &edits {
                text = edited(&text, *at, *removed, inserted);
                prop_assert_eq!(pair.ours.encode(&text), pair.whole(&text), "{}: {:?}", pair.name, text);
            }
        }
    }
}

#[test]
fn every_prefix_of_a_file_has_its_own_ids() {
    for pair in &*TOKENIZERS {
        for sample in SAMPLES.iter().chain(&MORE) {
            for (at, _) in sample.char_indices().step_by(7) {
                let prefix = &sample[..at];
                assert_eq!(pair.ours.encode(prefix), pair.whole(prefix), "{}: {prefix:?}", pair.name);
            }
        }
    }
}

#[test]
fn only_a_vocabulary_of_several_words_a_token_is_not_parted() {
    for pair in &*TOKENIZERS {
        assert_eq!(pair.ours.cache.is_some(), pair.name != "SuperBPE", "{}", pair.name);
    }
}

#[test]
fn what_looks_across_pieces_is_not_parted() {
    let added = |content: &str, special: bool, rstrip: bool| {
        json!([{
            "id": 49152, "content": content, "special": special, "rstrip": rstrip,
            "single_word": false, "lstrip": false, "normalized": false,
        }])
    };
    let truncation =
        json!({ "direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0 });
    let padding = json!({
        "strategy": { "Fixed": 8 }, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "x",
    });
    for (key, value, parted) in [
        ("normalizer", json!({ "type": "NFC" }), true),
        ("normalizer", json!({ "type": "Strip", "strip_left": true, "strip_right": true }), false),
        ("decoder", Value::Null, false),
        ("truncation", truncation, false),
        ("padding", padding, false),
        ("added_tokens", added("<a b>", true, true), true),
        ("added_tokens", added("<a_b>", false, false), true),
        ("added_tokens", added("<a b>", false, false), false),
        ("added_tokens", added("<a_b>", false, true), false),
    ] {
        let mut json = shipped();
        json[key] = value.clone();
        assert_eq!(Pair::new("", &json).ours.cache.is_some(), parted, "{key}: {value}");
    }
}

/// Text without a place to part it is a piece of its own, however long.
#[test]
fn a_million_characters_are_tokenised() {
    let pair = &TOKENIZERS[0];
    for text in ["ab_".repeat(333_334), "x = y\n".repeat(170_000), "a ".repeat(500_000)] {
        assert!(text.len() > 999_999);
        for _ in 0..2 {
            assert!(pair.ours.encode(&text) == pair.whole(&text), "{:?}...", &text[..9]);
        }
    }
}
