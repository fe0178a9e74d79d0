"""The layout of a stream: text around a cursor as one row of ids.

    {[SEP] path "\\n" snippet}  [FILE] path  [SUF] S  [PRE] P [MID]             nothing but white space right of the cursor
    {[SEP] path "\\n" snippet}  [FILE] path  [SUF] S  [PRE] P [TAIL] t [MID]    otherwise

P ends before the word that the cursor may stand in, the *stem*: the middle begins with it, so its first token is one that the
tokeniser makes of whole words wherever the cursor stands. The engine lays out prompts the same way (engine/src/stream.rs); tests/recipe compares the two.
"""

SEP, FILE, SUF, PRE, TAIL, MID, EOM, MASK = 5, 6, 8, 9, 10, 11, 15, 16
NAMES = {SUF: "<|fim_suffix|>", PRE: "<|fim_prefix|>", TAIL: "<|fim_tail|>", MID: "<|fim_middle|>", EOM: "<|fim_end|>", MASK: "<|mask|>"}

# Tokens at most; the same numbers stand in the metadata of an exported model.
MAX_STREAM, MAX_SUFFIX, MAX_TAIL, MAX_PATH, MAX_SNIPPET = 1024, 400, 32, 24, 260
# The shares of a stream that the engine gives to the suffix and to the prefix.
SUFFIX_SHARE, PREFIX_SHARE = 1 / 4, 5 / 8
MAX_STEM = 24  # characters of a stem, without the blank before it


class Text:
    """A tokeniser that takes all text as plain: `<|im_start|>` in a file is ordinary characters."""

    def __init__(self, path):
        from tokenizers import Tokenizer

        self.bpe = Tokenizer.from_file(str(path))
        self.bpe.encode_special_tokens = True
        self.vocab = self.bpe.get_vocab_size()
        reserved = self.bpe.get_added_tokens_decoder()
        # In the tokeniser's own spelling of bytes; nothing for ids that are no text.
        self.spelling = ["" if id in reserved else self.bpe.id_to_token(id) for id in range(self.vocab)]

    def encode(self, text):
        return self.bpe.encode(text, add_special_tokens=False).ids

    def decode(self, ids):
        return self.bpe.decode(list(ids), skip_special_tokens=False)

    def spelled(self, text):
        return "".join(self.spelling[id] for id in self.encode(text))

    def openings(self, rest):
        """Ids that a text may begin with which begins with `rest`, as `spelled` has it."""
        fits = lambda token: token and (token.startswith(rest) or rest.startswith(token))
        return [id for id, token in enumerate(self.spelling) if fits(token)]

    def encode_prefix(self, text):
        """(ids before the stem, the stem): the split that the tokeniser makes when text follows."""
        end = stem(text)
        if not end or end.isspace():
            return self.encode(text[: len(text) - len(end)]), end
        ids, own = self.encode(text), self.encode(end)
        return (ids[: -len(own)] if ids[-len(own) :] == own else self.encode(text[: -len(end)])), end


def kind(character):
    return "letter" if character.isalpha() else "digit" if character.isnumeric() else "other"


def stem(prefix):
    """The end of a prefix that the middle begins with: one character of white space, or a run of letters or of signs with the
    blank before it, or a digit. The tokeniser parts text in front of it."""
    last = prefix[-1:]
    if not last or last.isspace() or kind(last) == "digit":
        return last
    start = len(prefix) - 1
    while start > 0 and len(prefix) - start < MAX_STEM and not prefix[start - 1].isspace() and kind(prefix[start - 1]) == kind(last):
        start -= 1
    return prefix[start - 1 if prefix[start - 1 : start] == " " else start :]


def split_suffix(prefix, suffix):
    """The rest of the cursor's line, and the text from that line break on."""
    line, newline, rest = suffix.partition("\n")
    if (not prefix or prefix.endswith("\n")) and line.strip():
        return "", "\n" + suffix  # the start of a line that is not blank: whole lines are wanted
    return line, newline + rest


def head(text, path, lines, most):
    """Ids before the prefix, `most` of them of the suffix."""
    named = [FILE, *text.encode(path)[-MAX_PATH:]] if path else []
    return named + [SUF, *text.encode(lines)[: min(MAX_SUFFIX, most)], PRE]


def closing(text, tail):
    """Ids between the prefix and the middle."""
    return [TAIL, *text.encode(tail)[:MAX_TAIL], MID] if tail.strip() else [MID]


def stream(text, path, prefix, suffix, limit=MAX_STREAM):
    """(ids of a cursor's stream, of `limit` tokens at most, the stem)."""
    tail, lines = split_suffix(prefix, suffix)
    before = head(text, path, lines, int(limit * SUFFIX_SHARE))
    room = min(int(limit * PREFIX_SHARE), limit - len(before) - MAX_TAIL - 2)
    ids, end = text.encode_prefix(prefix)
    return before + ids[-room:] + closing(text, tail), end
