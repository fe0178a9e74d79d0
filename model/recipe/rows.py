"""Rows for training: streams of cursors as editors have them, and noised blocks that start at and after the cursors.

A row has L positions: causal streams, one after the other, then blocks. Each stream ends with its middle and EOM. Cursors of
one line see the same suffix and the same lines before: their streams share those positions and fork at that line. A block
sees the stream before its start and itself in both directions; its masked rows predict their own tokens.
"""

import json
from dataclasses import dataclass

import numpy as np

import layout
from layout import EOM, MASK, SEP
from pack import FIELDS

BLOCKS, BLOCK_SHARES = [8, 16, 32, 64], [0.15, 0.40, 0.35, 0.10]
# Kinds of cursors, as often as editors ask: behind an indentation (Enter), inside a line with nothing or something right of
# the cursor, inside a line with what is missing reaching into a later one, at the start of a line.
KINDS, KIND_SHARES = ["indented", "rest", "span", "across", "lines"], [0.36, 0.27, 0.14, 0.15, 0.08]
FORKS, FORK_SHARES = ["rest", "span"], [0.3, 0.7]  # kinds of further cursors on the same line
MOST_FORKS = 5
LONGEST_MIDDLE = 800  # characters; lengths are log-uniform in lines or characters
PREFIX_WEIGHT = 0.25  # of a position before the cursor in the causal loss; inside the middle and at its end it is 1
# Of the room of a stream's context: what its suffix and its prefix take of it. They are drawn apart from the middle, or its length could be told by them.
SUFFIX_ROOM, PREFIX_ROOM = (0.05, 0.3), (0.3, 0.65)
OWN_ROOM = 160  # positions kept for a cursor's line, tail and middle
SNIPPETS = 0.25  # share of streams that begin with snippets of other files
WEIGHTS = {"html": 0.5, "css": 0.5, "toml": 0.4, "yaml": 0.4, "shell": 0.6}  # of a language when files are drawn


class Corpus:
    """The packed files, mapped."""

    def __init__(self, folder):
        from extract import LANGUAGES

        self.text = np.memmap(folder / "text.bin", dtype=np.uint8, mode="r")
        self.documents = np.load(folder / "documents.npy").view(FIELDS)
        self.paths = json.loads((folder / "paths.json").read_text())
        size = self.documents["end"] - self.documents["start"]
        share = np.array([WEIGHTS.get(name, 1.0) for name in LANGUAGES])
        chance = np.minimum(1, size / 4000) * share[self.documents["language"]]  # long files more often
        self.cumulative = np.cumsum(chance / chance.sum())

    def draw(self, rng):
        return min(int(np.searchsorted(self.cumulative, rng.random())), len(self.paths) - 1)

    def read(self, number):
        document = self.documents[number]
        return bytes(self.text[document["start"] : document["end"]]).decode()

    def neighbour(self, number, rng):
        """Another file of the same folder, or None."""
        other = number + int(rng.integers(1, 9)) * (1 if rng.random() < 0.5 else -1)
        inside = 0 <= other < len(self.paths)
        return other if inside and self.documents[other]["folder"] == self.documents[number]["folder"] else None


@dataclass
class Stream:
    ids: list
    shared: int  # positions that it has in common with the streams beside it
    closing: int  # position of the markers behind the prefix
    cursor: int  # position of the middle's first token


def cut(rng, text, kind):
    """(start, end) of a middle of that kind, or None."""
    at = int(rng.integers(0, len(text)))
    start = text.rfind("\n", 0, at) + 1
    line_end = text.find("\n", at)
    line_end = len(text) if line_end < 0 else line_end
    indented = start + len(text[start:line_end]) - len(text[start:line_end].lstrip(" \t"))
    inside = max(indented, start + 1)  # the start of a line asks for whole lines
    if kind == "span":
        if line_end - inside < 4:
            return None
        a = int(rng.integers(inside, line_end - 1))
        return a, min(line_end - 1, a + log_uniform(rng, line_end - a))
    if kind == "across":
        last = text.find("\n", line_end + 1)
        for _ in range(log_uniform(rng, 5) - 1):
            last = text.find("\n", last + 1) if last > 0 else last
        first = text.rfind("\n", 0, last) + 1 if last > 0 else 0
        if line_end - inside < 1 or last - first < 2:
            return None
        return int(rng.integers(inside, line_end + 1)), int(rng.integers(first + 1, last))
    if kind == "lines":
        return start, lines_on(rng, text, start)
    if kind == "indented":
        return indented, lines_on(rng, text, indented)
    if line_end - indented < 2:
        return None
    a = int(rng.integers(indented, line_end))
    return a, line_end if rng.random() < 0.8 else lines_on(rng, text, a)


def log_uniform(rng, most):
    return int(np.exp(rng.random() * np.log(max(2, most))))


def lines_on(rng, text, start):
    """The end of a log-uniform number of lines from `start` on, half of them one."""
    end = start - 1
    for _ in range(1 if rng.random() < 0.5 else log_uniform(rng, 16)):
        end = text.find("\n", end + 1)
        if end < 0:
            return len(text)
    return end


def forks(rng, text, start, end):
    """Further cursors on the line of a middle that does not leave it: the same suffix begins behind the line."""
    line_end = text.find("\n", start)
    line_end = len(text) if line_end < 0 else line_end
    line_start = text.rfind("\n", 0, start) + 1
    if end > line_end or not text[line_start:line_end].strip():
        return []
    inside = max(line_end - len(text[line_start:line_end].lstrip(" \t")), line_start + 1)
    found = []
    for _ in range(int(rng.integers(1, MOST_FORKS + 1))):
        if line_end - inside < 4:
            break
        a, b = int(rng.integers(inside, line_end - 1)), line_end
        if rng.choice(FORKS, p=FORK_SHARES) == "span":
            b = min(line_end - 1, a + log_uniform(rng, line_end - a))
        found.append((a, b))
    return found


class Rows:
    """Endless rows of `length` positions, the first `streams` of which are causal."""

    def __init__(self, corpus, text, seed, length=2048, streams=1408):
        self.corpus, self.text, self.length, self.streams = corpus, text, length, streams
        self.rng = np.random.default_rng(seed)

    def snippets(self, number, room):
        ids = []
        for _ in range(self.rng.integers(1, 3)):
            other = self.corpus.neighbour(number, self.rng)
            if other is None:
                continue
            text = self.corpus.read(other)
            start = text.find("\n", int(self.rng.integers(0, len(text)))) + 1
            one = self.text.encode(text[start : start + 1200])[: self.rng.integers(48, layout.MAX_SNIPPET)]
            one = [SEP, *self.text.encode(self.corpus.paths[other])[-layout.MAX_PATH :], *self.text.encode("\n"), *one]
            ids += one if len(ids) + len(one) <= room else []
        return ids

    def middle(self):
        """A file, and a middle in it: (number, text, kind, start, end)."""
        while True:
            number = self.corpus.draw(self.rng)
            text, kind = self.corpus.read(number), self.rng.choice(KINDS, p=KIND_SHARES)
            found = cut(self.rng, text, kind)
            if found and (text[slice(*found)].strip() or self.rng.random() < 0.1):
                return number, text, kind, found[0], min(found[1], found[0] + LONGEST_MIDDLE)

    def family(self, room, space):
        """Streams that share what stands before their line, about `room` positions, of `space` positions together."""
        encode = self.text.encode
        while True:
            number, text, kind, start, end = self.middle()
            cuts = [(start, end)] + (forks(self.rng, text, start, end) if kind != "lines" else [])
            fork = len(text[: text.rfind("\n", 0, start) + 1].rstrip())  # white space between two lines may be one token
            suffix = text[end : end + 4000]
            if kind == "lines" and suffix[1:].split("\n")[0].strip():
                # Before a line that is not blank the engine puts the line break into the suffix; the answer ends with one too.
                suffix, cuts = suffix[1:], [(start, end + 1)]
            crossed = self.snippets(number, room // 2 - 60) if self.rng.random() < SNIPPETS else []
            path = self.corpus.paths[number] if crossed or self.rng.random() < 0.9 else None
            left = room - len(crossed)
            lines = layout.split_suffix(text[:start], suffix)[1]
            head = crossed + layout.head(self.text, path, lines, int(left * self.rng.uniform(*SUFFIX_ROOM)))
            own = []
            for a, b in cuts:
                opening, stem = self.text.encode_prefix(text[fork:a])
                closing = layout.closing(self.text, layout.split_suffix(text[:a], text[b : b + 400])[0])
                own.append((opening, closing, [*encode(stem + text[a:b]), EOM]))
            shared = head + encode(text[max(0, fork - 8 * room) : fork])[-int(left * self.rng.uniform(*PREFIX_ROOM)) :]
            kept, used = [], len(shared)
            for opening, closing, middle in own:
                used += len(opening) + len(closing) + len(middle)
                if used > space:
                    break
                end = len(shared) + len(opening)
                kept.append(Stream(shared + opening + closing + middle, len(shared), end, end + len(closing)))
            if kept:
                return kept

    def block_start(self, stream, rows):
        """A position where decoding may start a block: in the middle, or where all of the block lies in the prefix."""
        last = max(len(stream.ids) - 2, stream.cursor)  # a middle may be empty
        first = max(stream.ids.index(layout.PRE) + 1, stream.cursor - 200)
        u = self.rng.random()
        if u < 0.4:
            return stream.cursor
        if u < 0.8 or stream.closing - rows <= first:
            return int(self.rng.integers(stream.cursor, last + 1))
        return int(self.rng.integers(first, stream.closing - rows))

    def noise(self, rows):
        """Which rows of a block are masked: all of them, all behind a revealed start, or some."""
        u, masked = self.rng.random(), np.zeros(rows, bool)
        if u < 0.4:
            masked[:] = True
        elif u < 0.6:
            masked[int(self.rng.integers(1, rows)) :] = True
        else:
            masked[:] = self.rng.random(rows) < self.rng.uniform(0.2, 1)
        masked[0] &= self.rng.random() < 0.3  # decoding knows the first token
        if not masked.any():
            masked[int(self.rng.integers(1, rows))] = True
        return masked

    def causal_weights(self, stream, first):
        """Of each position's prediction of the next token; what streams share counts in the first of them."""
        weights, start = np.zeros(len(stream.ids), np.float32), stream.ids.index(layout.PRE)
        if first:
            weights[start : stream.closing - 1] = PREFIX_WEIGHT
        weights[stream.cursor - 1 : -1] = 1
        return weights

    def row(self):
        """Arrays of `length`: ids, positions, stream number (-1: padding), fork number (0: shared), block number (0: stream),
        positions seen, target (-1: none), weight."""
        ids, positions, fork, block, seen = (np.zeros(self.length, np.int32) for _ in range(5))
        stream_of, target = np.full(self.length, -1, np.int32), np.full(self.length, -1, np.int32)
        weight = np.zeros(self.length, np.float32)
        streams, families, at = [], 0, 0
        while self.streams - at > 100 + OWN_ROOM:
            room = min(self.streams - at, layout.MAX_STREAM) - OWN_ROOM
            short = self.rng.random() < 0.6 and room > 480  # mostly short streams: more ends a position
            for stream in self.family(int(self.rng.integers(200, 480)) if short else room, self.streams - at):
                first = not streams or streams[-1][0] != families
                begin = 0 if first else stream.shared
                size = len(stream.ids) - begin
                here = slice(at, at + size)
                streams.append((families, stream))
                ids[here], positions[here] = stream.ids[begin:], np.arange(begin, len(stream.ids))
                stream_of[here], fork[here] = families, np.where(positions[here] < stream.shared, 0, len(streams))
                seen[here] = positions[here] + 1
                target[here], weight[here] = [*stream.ids[begin + 1 :], -1], self.causal_weights(stream, first)[begin:]
                at += size
            families += 1
        number = 0
        while self.length - at >= BLOCKS[0]:
            number += 1
            chosen = int(self.rng.integers(len(streams)))
            family, stream = streams[chosen]
            rows = min(int(self.rng.choice(BLOCKS, p=BLOCK_SHARES)), self.length - at)
            start = self.block_start(stream, rows)
            truth = np.full(rows, EOM, np.int32)
            real = min(rows, len(stream.ids) - start)
            truth[:real] = stream.ids[start : start + real]
            masked, here = self.noise(rows), slice(at, at + rows)
            ids[here], positions[here] = np.where(masked, MASK, truth), np.arange(start, start + rows)
            stream_of[here], fork[here], block[here], seen[here] = family, chosen + 1, number, start
            target[here] = np.where(masked, truth, -1)
            weight[here] = np.where(np.arange(rows) < real, 1, 1 / max(1, rows - real))  # all fill counts as one token
            at += rows
        return ids, positions, stream_of, fork, block, seen, target, weight
