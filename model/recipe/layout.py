"""The layout of a stream: text around a cursor as one row of ids.

    {[SEP] path "\\n" snippet}  [FILE] path  [SUF] S  [PRE] P                   nothing but white space right of the cursor
    {[SEP] path "\\n" snippet}  [FILE] path  [SUF] S  [PRE] P [TAIL] t [MID]    otherwise

The engine lays out prompts the same way (engine/src/stream.rs); tests/recipe compares the two.
"""

SEP, FILE, SUF, PRE, TAIL, MID, EOM, MASK = 5, 6, 8, 9, 10, 11, 15, 16
NAMES = {SUF: "<|fim_suffix|>", PRE: "<|fim_prefix|>", TAIL: "<|fim_tail|>", MID: "<|fim_middle|>", EOM: "<|fim_end|>", MASK: "<|mask|>"}

# Tokens at most; the same numbers stand in the metadata of an exported model.
MAX_STREAM, MAX_SUFFIX, MAX_TAIL, MAX_PATH, MAX_SNIPPET = 1024, 400, 32, 24, 260
# The shares of a stream that the engine gives to the suffix and to the prefix.
SUFFIX_SHARE, PREFIX_SHARE = 1 / 4, 5 / 8


class Text:
    """A tokeniser that takes all text as plain: `<|im_start|>` in a file is ordinary characters."""

    def __init__(self, path):
        from tokenizers import Tokenizer

        self.bpe = Tokenizer.from_file(str(path))
        self.bpe.encode_special_tokens = True
        self.vocab = self.bpe.get_vocab_size()

    def encode(self, text):
        return self.bpe.encode(text, add_special_tokens=False).ids

    def decode(self, ids):
        return self.bpe.decode(list(ids), skip_special_tokens=False)

    def encode_prefix(self, text):
        """White space at the end is tokenised on its own: the split that the tokeniser makes when text follows."""
        if text[-1:].isspace():
            return self.encode(text[:-1]) + self.encode(text[-1])
        return self.encode(text)


def split_suffix(prefix, suffix):
    """The rest of the cursor's line, and the text from that line break on."""
    line, newline, rest = suffix.partition("\n")
    if (not prefix or prefix.endswith("\n")) and line.strip():
        return "", "\n" + suffix  # the start of a line that is not blank: whole lines are wanted
    return line, newline + rest


def head(text, path, lines, limit=MAX_STREAM):
    """Ids before the prefix of a stream of `limit` tokens at most."""
    named = [FILE, *text.encode(path)[-MAX_PATH:]] if path else []
    return named + [SUF, *text.encode(lines)[: min(MAX_SUFFIX, int(limit * SUFFIX_SHARE))], PRE]


def closing(text, tail):
    """Ids between the prefix and the middle."""
    return [TAIL, *text.encode(tail)[:MAX_TAIL], MID] if tail.strip() else []


def stream(text, path, prefix, suffix, limit=MAX_STREAM):
    """Ids of a cursor's stream, of `limit` tokens at most."""
    tail, lines = split_suffix(prefix, suffix)
    before = head(text, path, lines, limit)
    room = min(int(limit * PREFIX_SHARE), limit - len(before) - MAX_TAIL - 2)
    return before + text.encode_prefix(prefix)[-room:] + closing(text, tail)
