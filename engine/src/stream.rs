//! The stream: everything known about a cursor as one row of ids, in the layout the model was trained with.
//!
//! ```text
//! {[SEP] path "\n" snippet}  [FILE] path  [SUF] S  [PRE] P [MID]             nothing but white space right of the cursor
//! {[SEP] path "\n" snippet}  [FILE] path  [SUF] S  [PRE] P [TAIL] t [MID]    otherwise
//! ```
//! `t` is the rest of the cursor's line, `S` the text from that line break on, `P` the text before the cursor without its
//! [`stem`](mod@crate::stem), with which the middle begins.
//! The suffix stands before the prefix, so typing changes the end of the stream alone, and within a word nothing.

use crate::config::Config;
use crate::request::Prompt;
use crate::stem::stem;
use crate::tokenizer::Tokenizer;

/// Share of the trained stream that the prefix may take, as a fraction: 640 of 1024 tokens.
const PREFIX_SHARE: (usize, usize) = (5, 8);
/// The same for the suffix lines: 256 of 1024 tokens.
const SUFFIX_SHARE: (usize, usize) = (1, 4);
/// Tokens by which the start of a prefix that is too long moves: large, so that it rarely does.
const PREFIX_JUMP: usize = 128;
/// Tokens of a snippet at most.
const MAX_SNIPPET: usize = 260;

/// A prompt as ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Ids, positions from 0.
    pub ids: Vec<u32>,
    /// The cursor stands at the start of a line that is not blank: whole lines are wanted, and a line break ends them.
    pub whole_lines: bool,
    /// The end of the text before the cursor, which is not among the ids: the middle begins with it.
    pub stem: String,
}

/// Lays out a prompt.
pub fn build(prompt: &Prompt, tokenizer: &Tokenizer, config: &Config) -> Stream {
    let (special, limits) = (&config.special, &config.limits);
    let whole_lines = (prompt.prefix.is_empty() || prompt.prefix.ends_with('\n'))
        && !prompt.suffix.is_empty()
        && !prompt.suffix.starts_with('\n')
        && !prompt.suffix.split('\n').next().unwrap_or_default().trim().is_empty();
    let (tail, lines) = match (whole_lines, prompt.suffix.find('\n')) {
        (true, _) => ("", format!("\n{}", prompt.suffix)),
        (false, Some(at)) => (&prompt.suffix[..at], prompt.suffix[at..].to_string()),
        (false, None) => (prompt.suffix.as_str(), String::new()),
    };

    let mut ids = snippets(prompt, tokenizer, config);
    if let Some(path) = &prompt.path {
        ids.push(special.file);
        ids.extend(last(&tokenizer.encode(path), limits.path));
    }
    ids.push(special.suffix);
    let suffix_room = share(limits.stream, SUFFIX_SHARE).min(limits.suffix);
    ids.extend(tokenizer.encode(&lines).iter().take(suffix_room));
    ids.push(special.prefix);

    let mut closing = Vec::new();
    if !tail.trim().is_empty() {
        closing.push(special.tail);
        closing.extend(tokenizer.encode(tail).iter().take(limits.tail));
    }
    closing.push(special.middle);
    // The tail's room is reserved whatever its length, which changes with every bracket typed.
    let left = limits.stream.saturating_sub(ids.len() + limits.tail + 2);
    let room = share(limits.stream, PREFIX_SHARE).min(left);
    let (before, stem) = encode_prefix(&prompt.prefix, tokenizer);
    ids.extend(prefix_window(&before, room));
    ids.extend(closing);
    Stream { ids, whole_lines, stem }
}

/// Snippets of other files, half of the stream at most, none without a path after them.
fn snippets(prompt: &Prompt, tokenizer: &Tokenizer, config: &Config) -> Vec<u32> {
    let mut ids = Vec::new();
    if prompt.path.is_none() {
        return ids;
    }
    for snippet in prompt.snippets.iter().take(2) {
        let mut one = vec![config.special.sep];
        one.extend(last(&tokenizer.encode(&snippet.path), config.limits.path));
        one.extend(tokenizer.encode("\n"));
        one.extend(tokenizer.encode(&snippet.text).iter().take(MAX_SNIPPET));
        if ids.len() + one.len() <= config.limits.stream / 2 - 60 {
            ids.extend(one);
        }
    }
    ids
}

/// The ids before the stem, and the stem. The split is the one that the tokeniser makes when text follows.
fn encode_prefix(prefix: &str, tokenizer: &Tokenizer) -> (Vec<u32>, String) {
    let stem = stem(prefix);
    let before = &prefix[..prefix.len() - stem.len()];
    let own = tokenizer.encode(stem);
    // Bytes without a token are not asked for.
    let stem_of_tokens = tokenizer.decode(&own);
    if !own.is_empty() && !stem.trim().is_empty() {
        let mut ids = tokenizer.encode(prefix);
        if ids.ends_with(&own) {
            ids.truncate(ids.len() - own.len());
            return (ids, stem_of_tokens);
        }
    }
    (tokenizer.encode(before), stem_of_tokens)
}

fn share(whole: usize, (numerator, denominator): (usize, usize)) -> usize {
    whole * numerator / denominator
}

/// The end of a prefix that does not fit. Its start moves in jumps, so that most keystrokes keep the cache.
fn prefix_window(ids: &[u32], room: usize) -> &[u32] {
    let over = ids.len().saturating_sub(room);
    &ids[over.next_multiple_of(PREFIX_JUMP).min(ids.len())..]
}

fn last(ids: &[u32], n: usize) -> &[u32] {
    &ids[ids.len().saturating_sub(n)..]
}
