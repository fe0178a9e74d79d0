"""What Neovim's users do and see, with a server that answers from a script."""

import os
import signal
import sys
import time

import pytest

from conftest import editor
from neovim import Neovim, Script, wait_for

CALL = {"after": "total = ", "insert": "price * (1 + tax)"}
BLOCK = {"after": "def add(a, b):\n", "insert": "    total = a + b\n    return total"}


def opened(editor, path, text, *rules, script, keys="Go", **how):
    path.write_text(text, newline="", encoding="utf-8")
    script.answers(list(rules), **how)
    editor.edit(path)
    editor.is_in("ready")
    editor.type(keys)
    return path


def test_typed_text_gets_ghost_text_that_is_not_in_the_buffer(scripted, script, tmp_path):
    opened(scripted, tmp_path / "a.py", "import os\n", BLOCK, script=script)
    scripted.type("def add(a, b):<CR>")
    scripted.sees("def add(a, b):", "    total = a + b", "    return total")
    scripted.holds("import os", "def add(a, b):", "    ")


def test_a_whole_suggestion_is_accepted_and_undone_alone(scripted, script, tmp_path):
    opened(scripted, tmp_path / "a.py", "import os\n", BLOCK, script=script)
    scripted.type("def add(a, b):<CR>")
    scripted.sees("    return total")
    scripted.type("<Tab>")
    scripted.holds("import os", "def add(a, b):", "    total = a + b", "    return total")
    assert tuple(scripted.nvim.current.window.cursor) == (4, len("    return total"))
    scripted.type("<Esc>u")
    scripted.holds("import os", "def add(a, b):", "    ")


def test_words_and_lines_are_accepted_one_by_one(scripted, script, tmp_path):
    opened(scripted, tmp_path / "a.py", "", CALL, BLOCK, script=script, keys="i")
    scripted.type("total = ")
    scripted.sees("total = price * (1 + tax)")
    for held in ("total = price", "total = price *", "total = price * (", "total = price * (1"):
        scripted.type("<M-Right>")
        scripted.holds(held)
        scripted.sees("total = price * (1 + tax)")
    scripted.type("<Tab><CR>def add(a, b):<CR>")
    scripted.sees("    return total")
    scripted.type("<M-C-Right>")
    scripted.holds("total = price * (1 + tax)", "def add(a, b):", "    total = a + b")
    scripted.sees("    total = a + b", "    return total")
    scripted.type("<M-C-Right>")
    scripted.holds("total = price * (1 + tax)", "def add(a, b):", "    total = a + b", "    return total")


def test_typing_through_keeps_the_rest_on_the_screen(scripted, script, tmp_path):
    opened(scripted, tmp_path / "a.py", "", CALL, script=script, keys="i")
    scripted.type("total = ")
    scripted.sees("total = price * (1 + tax)")
    for typed in "price":
        scripted.type(typed)
        assert "total = price * (1 + tax)" in scripted.screen()
    scripted.type("<Tab>")
    scripted.holds("total = price * (1 + tax)")


def test_a_suggestion_is_never_accepted_after_other_text(scripted, script, tmp_path):
    opened(scripted, tmp_path / "a.py", "", CALL, script=script, keys="i")
    scripted.type("total = ")
    scripted.sees("total = price * (1 + tax)")
    # Slower than the key after it: what is shown is from before.
    script.answers([CALL | {"held": True}])
    scripted.type("x")
    assert "price" not in "\n".join(scripted.screen())
    scripted.type("<Tab>")
    wait_for("a tab", lambda: scripted.lines() != ["total = x"])
    assert scripted.lines()[0].rstrip() == "total = x"


def test_the_server_is_told_what_becomes_of_a_suggestion(scripted, script, tmp_path):
    def told(method):
        return [entry["params"] for entry in script.received(method)]

    def taken(part):
        units = part["item"]["insertText"].encode("utf-16-le")
        return units[: 2 * part["acceptedLength"]].decode("utf-16-le")

    rule = {"after": "x = ", "insert": "😀größe + 1\ny = 2"}
    opened(scripted, tmp_path / "a.py", "import os\r\n", rule, script=script)
    scripted.type("x = ")
    scripted.sees("x = 😀größe + 1")
    wait_for("a shown item", lambda: told("textDocument/didShowCompletion"))
    shown = told("textDocument/didShowCompletion")[-1]["item"]
    assert shown["insertText"] == "😀größe + 1\r\ny = 2"
    assert shown["command"]["command"] == "cinnabar.didAccept"
    for keys, held, end in [
        ("<M-Right>", ["x = 😀größe"], "😀größe"),
        ("<M-C-Right>", ["x = 😀größe + 1"], " + 1"),
        ("<M-C-Right>", ["x = 😀größe + 1", "y = 2"], None),
    ]:
        n_parts = len(told("textDocument/didPartiallyAcceptCompletion"))
        scripted.sees("x = 😀größe + 1")
        wait_for("ghost text", lambda: scripted.lua("return require('cinnabar').is_visible(0)"))
        scripted.type(keys)
        scripted.holds("import os", *held)
        if end:
            wait_for("a part", lambda: len(told("textDocument/didPartiallyAcceptCompletion")) > n_parts)
            assert taken(told("textDocument/didPartiallyAcceptCompletion")[-1]).endswith(end)
    wait_for("an acceptance", lambda: told("workspace/executeCommand"))
    (accepted,) = told("workspace/executeCommand")
    ids = [one["item"]["command"]["arguments"] for one in told("textDocument/didShowCompletion")]
    assert accepted["command"] == "cinnabar.didAccept" and accepted["arguments"] in ids


@pytest.mark.once
def test_dismissing_lasts_until_the_next_key(scripted, script, tmp_path):
    opened(scripted, tmp_path / "a.py", "", CALL, script=script, keys="i")
    scripted.type("total = ")
    scripted.sees("total = price * (1 + tax)")
    scripted.type("<C-]>")
    scripted.sees_no("price")
    time.sleep(0.4)
    scripted.sees("total =")
    scripted.type("<Tab>")
    wait_for("a tab", lambda: scripted.lines()[0].startswith("total = ") and scripted.lines() != ["total = "])
    scripted.type("<C-u>")
    scripted.holds("")
    scripted.type("total = p")
    scripted.sees("total = price * (1 + tax)")


@pytest.mark.once
def test_leaving_insert_mode_hides_and_takes_back_the_request(scripted, script, tmp_path):
    opened(scripted, tmp_path / "a.py", "", CALL | {"held": True}, script=script, keys="i")
    scripted.type("total = ")
    wait_for("request", lambda: script.received("textDocument/inlineCompletion"))
    scripted.type("<Esc>")
    wait_for("cancellation", lambda: script.received("$/cancelRequest"))
    script.answers([CALL])
    time.sleep(0.3)
    assert "price" not in "\n".join(scripted.screen())


@pytest.mark.once
def test_typing_on_replaces_a_slow_answer(scripted, script, tmp_path):
    rules = [CALL | {"held": True}, {"after": "y = ", "insert": "other()"}]
    opened(scripted, tmp_path / "a.py", "", *rules, script=script, keys="i")
    scripted.type("total = ")
    wait_for("request", lambda: script.received("textDocument/inlineCompletion"))
    scripted.type("<CR>y = ")
    scripted.sees("total =", "y = other()")
    script.answers([CALL, *rules[1:]])
    time.sleep(0.3)
    scripted.sees("total =", "y = other()")


@pytest.mark.parametrize("before", ["grüße = ", "日本 = ", "😀👍🏽 = ", "e\u0301 = "])
def test_text_beyond_ascii_before_the_cursor(scripted, script, tmp_path, before):
    rule = {"after": before, "insert": "größe + 日本"}
    opened(scripted, tmp_path / "a.py", f"{before}\n", rule, script=script, keys="A")
    scripted.sees(f"{before}größe + 日本")
    scripted.type("gr")
    scripted.sees(f"{before}größe + 日本")
    scripted.type("<M-Right>")
    scripted.holds(f"{before}größe")
    scripted.type("<Tab>")
    scripted.holds(f"{before}größe + 日本")


def test_a_file_with_crlf_keeps_it(scripted, script, tmp_path):
    path = opened(scripted, tmp_path / "a.py", "import os\r\n\r\n", BLOCK, script=script)
    scripted.type("def add(a, b):<CR>")
    scripted.sees("def add(a, b):", "    total = a + b", "    return total")
    scripted.type("<Tab>")
    scripted.holds("import os", "", "def add(a, b):", "    total = a + b", "    return total")
    scripted.type("<Esc>:w<CR>")
    expected = "import os\r\n\r\ndef add(a, b):\r\n    total = a + b\r\n    return total\r\n"
    wait_for("saved file", lambda: path.read_bytes() == expected.encode())


def test_a_file_indented_by_tabs(scripted, script, tmp_path):
    rule = {"after": "func f() {\n\t", "insert": "if x {\n\t\treturn y\n\t}"}
    opened(scripted, tmp_path / "a.go", "package a\n", rule, script=script)
    scripted.type("func f() {<CR><C-u><Tab>")
    scripted.sees("        if x {", "                return y", "        }") if scripted.ghost_text == "plugin" else (
        scripted.sees("        if x {")
    )
    scripted.type("<Tab>")
    scripted.holds("package a", "func f() {", "\tif x {", "\t\treturn y", "\t}")


def test_text_right_of_the_cursor_is_replaced(scripted, script, tmp_path):
    rule = {"after": "print(", "insert": "a, b)", "replaces": ")"}
    opened(scripted, tmp_path / "a.py", "print()\n", rule, script=script, keys="f)i")
    scripted.sees("print(a, b)")
    scripted.type("a")
    scripted.sees("print(a, b)")
    scripted.type("<Tab>")
    scripted.holds("print(a, b)")


@pytest.mark.once
def test_two_windows_are_completed_each_for_its_own_file(scripted, script, tmp_path):
    other = {"after": "other = ", "insert": "second()"}
    (tmp_path / "b.py").write_text("other = \n")
    opened(scripted, tmp_path / "a.py", "total = \n", CALL, other, script=script, keys="<Esc>")
    scripted.type(f":split {tmp_path / 'b.py'}<CR>A")
    scripted.sees("other = second()")
    scripted.type("<Esc><C-w>jA")
    scripted.sees("total = price * (1 + tax)")
    scripted.sees_no("second")
    scripted.type("<Tab><Esc><C-w>kA")
    scripted.sees("other = second()")
    scripted.type("<Tab>")
    scripted.holds("other = second()")
    assert len(script.pids()) == 1


def test_a_killed_server_is_started_again_with_the_text_as_it_is(scripted, script, tmp_path):
    opened(scripted, tmp_path / "a.py", "", CALL, script=script, keys="i")
    scripted.type("total = ")
    scripted.sees("total = price * (1 + tax)")
    os.kill(script.pids()[0], signal.SIGKILL)
    wait_for("second server", lambda: len(script.pids()) == 2)
    scripted.is_in("ready")
    assert "signal 9" in scripted.said()
    scripted.type("<CR>total = ")
    scripted.sees("total =", "total = price * (1 + tax)")


@pytest.mark.once
def test_a_server_that_always_dies_is_left_alone(neovim, script, tmp_path):
    neovim.set_up(path="false", ghost_text=neovim.ghost_text)
    (tmp_path / "a.py").write_text("")
    neovim.edit(tmp_path / "a.py")
    neovim.is_in("error")
    wait_for("advice", lambda: ":Cinnabar restart" in neovim.said())
    neovim.type("ixyz<Esc>")
    neovim.holds("xyz")


@pytest.mark.once
def test_the_user_restarts_the_server(scripted, script, tmp_path):
    opened(scripted, tmp_path / "a.py", "", CALL, script=script, keys="<Esc>")
    scripted.nvim.command("Cinnabar restart")
    wait_for("second server", lambda: len(script.pids()) == 2)
    scripted.is_in("ready")
    scripted.type("itotal = ")
    scripted.sees("total = price * (1 + tax)")
    assert "started again" not in scripted.said()


@pytest.mark.once
def test_a_missing_program_is_named_once_with_what_to_do(neovim, tmp_path):
    neovim.set_up(path="/nowhere/cinnabar", ghost_text=neovim.ghost_text)
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text("")
        neovim.edit(tmp_path / name)
    neovim.is_in("error")
    wait_for("message", lambda: "names no program" in neovim.said())
    assert neovim.said().count("no program") == 1
    assert ":checkhealth cinnabar" in neovim.said()
    neovim.type("iabc<Tab>")
    wait_for("typing as ever", lambda: neovim.lines()[0].startswith("abc"))


@pytest.mark.once
def test_turned_off_everywhere_in_a_buffer_and_by_file_type(neovim, script, tmp_path):
    neovim.set_up(
        path=sys.executable, args=script.arguments(), ghost_text=neovim.ghost_text, filetypes={"text": False}
    )
    (tmp_path / "note.txt").write_text("")
    neovim.edit(tmp_path / "note.txt")
    opened(neovim, tmp_path / "a.py", "", CALL, script=script, keys="i")
    neovim.type("total = ")
    neovim.sees("total = price * (1 + tax)")
    uris = [entry["params"]["textDocument"]["uri"] for entry in script.received("textDocument/didOpen")]
    assert [uri.split("/")[-1] for uri in uris] == ["a.py"]

    neovim.type("<Esc>:Cinnabar! disable<CR>")
    neovim.is_in("off")
    n_asked = len(script.received("textDocument/inlineCompletion"))
    neovim.type("A<BS> ")
    time.sleep(0.4)
    assert "price" not in "\n".join(neovim.screen())
    assert len(script.received("textDocument/inlineCompletion")) == n_asked
    neovim.type("<Esc>:Cinnabar! enable<CR>")
    neovim.is_in("ready")
    neovim.type("A<BS> ")
    neovim.sees("total = price * (1 + tax)")
    neovim.type("<Esc>:Cinnabar toggle<CR>")
    neovim.is_in("off")


@pytest.mark.once
def test_the_status_line_follows_the_server(neovim, script, tmp_path):
    neovim.set_up(path=sys.executable, args=script.arguments(), ghost_text=neovim.ghost_text)
    neovim.nvim.command("set laststatus=2 statusline=%{v:lua.require'cinnabar'.statusline()}")
    (tmp_path / "a.py").write_text("")
    script.answers([CALL | {"held": True}], loading=True)
    neovim.edit(tmp_path / "a.py")
    wait_for("progress", lambda: script.received("initialized"))
    neovim.sees("cinnabar: loading")
    script.answers([CALL | {"held": True}])
    neovim.sees("cinnabar: ready")
    neovim.type("itotal = ")
    neovim.sees("cinnabar: busy")
    script.answers([CALL])
    neovim.sees("total = price * (1 + tax)")
    neovim.sees("cinnabar: ready")


@pytest.mark.once
def test_tab_does_what_it_did_before_where_nothing_is_suggested(neovim, script, tmp_path):
    neovim.nvim.command("inoremap <expr> <Tab> 'typed by ' .. 'another'")
    neovim.set_up(path=sys.executable, args=script.arguments(), ghost_text=neovim.ghost_text)
    opened(neovim, tmp_path / "a.py", "", CALL, script=script, keys="i")
    neovim.type("<Tab><CR>total = ")
    neovim.sees("total = price * (1 + tax)")
    neovim.type("<Tab>")
    neovim.holds("typed by another", "total = price * (1 + tax)")


@pytest.mark.once
def test_wrong_options_are_named(neovim):
    neovim.set_up(pathh="x")
    assert "unknown option `pathh`" in neovim.said()
    neovim.set_up(keys=3)
    assert "`keys` must be a table or false" in neovim.said()


@pytest.mark.once
def test_the_health_check_says_what_is_wrong(neovim, script, tmp_path):
    neovim.set_up(path="/nowhere/cinnabar", ghost_text=neovim.ghost_text)
    neovim.nvim.command("checkhealth cinnabar")
    report = "\n".join(neovim.lines())
    assert "ERROR" in report and "/nowhere/cinnabar" in report
    assert "setup { path =" in report


@pytest.mark.once
def test_a_second_neovim_has_a_server_of_its_own(scripted, script, tmp_path):
    opened(scripted, tmp_path / "a.py", "", CALL, script=script, keys="i")
    second_script = Script(tmp_path / "second")
    second = Neovim(editor("nvim-0.12"), tmp_path / "second/home")
    try:
        second.set_up(path=sys.executable, args=second_script.arguments())
        opened(second, tmp_path / "b.py", "", {"after": "y = ", "insert": "two()"}, script=second_script, keys="i")
        scripted.type("total = ")
        second.type("y = ")
        scripted.sees("total = price * (1 + tax)")
        second.sees("y = two()")
    finally:
        second.close()
