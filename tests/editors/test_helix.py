"""Helix in a terminal: suggestions in its completion menu."""

import json
import os
import re
import signal
import sys
import time

import pytest

from conftest import editor
from neovim import REPOSITORY, wait_for
from terminal import Terminal

BLOCK = {"after": "def add(a, b):\n    t", "insert": "otal = a + b\n    return total"}
CALL = {"after": "x = ", "insert": "price * tax"}


def written(file):
    """The bytes of a file, none while Helix puts another in its place."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


class Helix(Terminal):
    """Helix on one file."""

    def __init__(self, file, home, command, arguments, config=None, size=(100, 24)):
        (home / ".config/helix").mkdir(parents=True, exist_ok=True)
        languages = (REPOSITORY / "editors/helix/languages.toml").read_text()
        # Only Cinnabar: other servers may or may not be installed.
        kept, rest = languages.split('command = "cinnabar"\nargs = ["lsp"]\n')
        kept += f"command = {json.dumps(str(command))}\nargs = {json.dumps(arguments)}\n"
        kept += f"[language-server.cinnabar.config]\n{config}\n" if config else ""
        rest = "".join(
            line if not line.startswith("language-servers") else "language-servers = [" + line[line.index("{ name") :]
            for line in rest.splitlines(keepends=True)
        )
        (home / ".config/helix/languages.toml").write_text(kept + rest)
        guide = (REPOSITORY / "editors/helix/README.md").read_text()
        (home / ".config/helix/config.toml").write_text(guide.split("config.toml`:\n```toml\n")[1].split("```")[0])
        super().__init__(editor("tmux"), [editor("hx"), file], home, home, *size)
        self.file = file
        self.sees("NOR")

    def normal(self):
        """Leaves insert mode. An Escape that arrives together with the next key would be that key with Alt."""

        def left():
            self.keys("Escape")
            end = time.monotonic() + 1
            while not (in_normal := "NOR" in self.screen().splitlines()[-2]) and time.monotonic() < end:
                time.sleep(0.02)
            return in_normal

        wait_for(lambda: "normal mode in\n" + self.screen(), left)

    def holds(self, text):
        """Saves until the file is this."""

        def saved():
            self.normal()
            self.text(":w")
            self.keys("Enter")
            wait_for(lambda: "saving in\n" + self.screen(), lambda: ":w" not in self.screen().splitlines()[-1])
            # While it is being written it may be away.
            return written(self.file) == text.encode()

        wait_for(lambda: f"{text!r}, but {self.file.read_bytes()!r}", saved)


@pytest.fixture
def helix(script, tmp_path):
    """Starts Helix with the scripted server on a file with a text."""
    started = []

    def start(text, *rules, name="a.py"):
        script.answers(list(rules))
        file = tmp_path / name
        file.write_bytes(text.encode())
        started.append(Helix(file, tmp_path / f"home{len(started)}", sys.executable, script.arguments()))
        wait_for("opened file", lambda: len(script.received("textDocument/didOpen")) == len(started))
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_a_suggestion_is_in_the_menu_shown_in_the_text_and_kept(helix):
    hx = helix("def add(a, b):\n", BLOCK)
    hx.keys("o")
    hx.text("    t")
    hx.sees("total = a + b")
    hx.keys("Tab")
    hx.sees("    return total")
    hx.keys("Enter")
    hx.holds("def add(a, b):\n    total = a + b\n    return total\n")
    hx.keys("u")
    hx.sees_no("total")


def test_typing_on_keeps_what_is_selected(helix):
    hx = helix("", CALL)
    hx.keys("i")
    hx.text("x = ")
    hx.sees("price * tax")
    hx.keys("Tab")
    hx.sees("x = price * tax")
    hx.text(" + 1")
    hx.holds("x = price * tax + 1\n")


def test_closing_the_menu_takes_the_text_back(helix):
    hx = helix("", CALL)
    hx.keys("i")
    hx.text("x = ")
    hx.sees("price * tax")
    hx.keys("Tab")
    hx.sees("x = price * tax")
    hx.keys("C-c")
    hx.sees_no("price")
    hx.holds("x = \n")


def test_typing_something_else_closes_the_menu(helix):
    hx = helix("", CALL)
    hx.keys("i")
    hx.text("x = ")
    hx.sees("price * tax")
    hx.text("7;")
    hx.sees_no("price")
    hx.holds("x = 7;\n")


def test_asked_for_on_an_empty_line(helix):
    hx = helix("x = 1\n", {"after": "x = 1\n", "insert": "y = x + 1\nz = y"})
    hx.keys("o", "C-x")
    hx.sees("y = x + 1")
    hx.keys("Tab", "Enter")
    hx.holds("x = 1\ny = x + 1\nz = y\n")


def test_text_beyond_ascii_before_the_cursor(helix):
    hx = helix("", {"after": "grüße 日本😀 = ", "insert": "größe()"})
    hx.keys("i")
    hx.text("grüße 日本😀 = ")
    hx.sees("größe()")
    hx.keys("Tab", "Enter")
    hx.holds("grüße 日本😀 = größe()\n")


def test_a_file_with_crlf_and_tabs_keeps_them(helix):
    # Helix has closed the brace.
    rule = {"after": "if x {", "insert": "\n\treturn y\n}", "replaces": "}"}
    hx = helix("package a\r\n", rule, name="a.go")
    hx.keys("o")
    hx.text("if x {")
    hx.keys("C-x")
    hx.sees("return y")
    hx.keys("Tab", "Enter")
    hx.holds("package a\r\nif x {\r\n\treturn y\r\n}\r\n")


def test_two_at_once(helix):
    first, second = helix("", CALL), helix("", CALL, name="b.py")
    for hx in (first, second):
        hx.keys("i")
        hx.text("x = ")
    for hx in (first, second):
        hx.sees("price * tax")
        hx.keys("Tab", "Enter")
        hx.holds("x = price * tax\n")


def test_a_killed_server_is_started_again_by_the_user(helix, script):
    hx = helix("", CALL)
    os.kill(script.pids()[0], signal.SIGKILL)
    hx.text(":lsp-restart cinnabar")
    hx.keys("Enter")
    wait_for("second server", lambda: len(script.pids()) == 2)
    wait_for("opened file", lambda: len(script.received("textDocument/didOpen")) == 2)
    hx.keys("i")
    hx.text("x = ")
    hx.sees("price * tax")


def test_a_missing_program_does_not_disturb(tmp_path):
    (tmp_path / "a.py").write_text("")
    hx = Helix(tmp_path / "a.py", tmp_path, "/nowhere/cinnabar", ["lsp"])
    try:
        hx.keys("i")
        hx.text("x = 1")
        hx.holds("x = 1\n")
    finally:
        hx.close()


def test_the_model_completes(cinnabar, tmp_path):
    file = tmp_path / "lru_cache.py"
    file.write_bytes((REPOSITORY / "tests/data/samples/lru_cache.py").read_bytes())
    before = file.read_text()
    hx = Helix(file, tmp_path, cinnabar, ["lsp"], config="deadlineMs = 30000")
    try:
        hx.text("84ggA len")  # `return ` alone leaves the model unsure, and what it is unsure of is hidden
        hx.sees("INS")
        # The kind of the one entry, which is the suggestion, whatever it is. A server that is still starting was not
        # asked by the keys.
        for _ in range(8):
            try:
                wait_for("entry", lambda: re.search(r"\S +text\b", hx.screen()), 5)
                break
            except AssertionError:
                hx.keys("C-x")
        hx.keys("Tab", "Enter")
        hx.normal()
        hx.text(":w")
        hx.keys("Enter")
        line = before.splitlines()[83] + " len"
        wait_for("taken text", lambda: len(written(file)) > len((before + " len").encode()))
        assert file.read_text().splitlines()[83].startswith(line)
    finally:
        hx.close()
