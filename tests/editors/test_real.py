"""The real program with the real model in Neovim: everything between a key and the screen."""

import json
import subprocess

import psutil
import pytest

from conftest import NEOVIMS
from neovim import REPOSITORY, wait_for

GHOST = """local parts = {}
for _, name in ipairs { 'nvim.lsp.inline_completion', 'cinnabar' } do
  local namespace = vim.api.nvim_create_namespace(name)
  for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })) do
    local lines = mark[4].virt_lines or {}
    table.insert(lines, 1, mark[4].virt_text)
    for _, line in ipairs(lines) do
      parts[#parts + 1] = line[1] and line[1][1] or ''
    end
  end
end
return parts"""


@pytest.fixture
def real(neovim, cinnabar, tmp_path):
    """A Neovim with the real server, on a copy of a real file. No deadline: the machine may be busy."""
    neovim.set_up(path=str(cinnabar), ghost_text=neovim.ghost_text, settings={"deadlineMs": 30000})
    sample = REPOSITORY / "tests/data/samples/lru_cache.py"
    (tmp_path / sample.name).write_bytes(sample.read_bytes())
    neovim.edit(tmp_path / sample.name)
    neovim.is_in("ready")
    return neovim


def serves(process):
    try:
        return process.name() == "cinnabar" and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ghost(neovim):
    return wait_for("ghost text", lambda: neovim.lua(GHOST), 120)


@pytest.mark.parametrize("neovim", [NEOVIMS[0], NEOVIMS[2]], ids=lambda p: "-".join(p), indirect=True)
def test_the_model_completes_and_its_text_is_taken(real):
    before = real.lines()
    real.type("84GA<BS>")
    real.type(before[83][-1])
    wait_for("the text as it was", lambda: real.lines() == before)
    shown = ghost(real)
    assert real.lines() == before
    real.type("<Tab>")
    taken = before[:83] + [before[83] + shown[0], *shown[1:]] + before[84:]
    wait_for("accepted text", lambda: real.lines() == taken)
    real.type("<Esc>u")
    wait_for("undone text", lambda: real.lines() == before)


@pytest.mark.parametrize("neovim", [NEOVIMS[0], NEOVIMS[2]], ids=lambda p: "-".join(p), indirect=True)
def test_what_is_taken_is_counted(real, cinnabar, tmp_path):
    def counts():
        command, home = [cinnabar, "stats", "--json"], {"HOME": str(tmp_path / "home")}
        stats = json.loads(subprocess.run(command, capture_output=True, check=True, env=home).stdout)
        classes = stats["counts"].get("python", {}).values()
        return {what: sum(each[what] for each in classes) for what in ("shown", "accepted", "characters")}

    before = real.lines()[83]
    real.type("84GA<BS>")
    real.type(before[-1])
    ghost(real)
    # A word, then all that is left.
    real.type("<M-Right>")
    wait_for("a word", lambda: real.lines()[83] != before)
    ghost(real)
    real.type("<Tab>")
    wait_for("a count", lambda: counts().get("accepted"))
    taken = real.lines()[83][len(before) :]
    assert counts() | {"shown": 0} == {"shown": 0, "accepted": 1, "characters": len(taken)}
    assert counts()["shown"] >= 1


@pytest.mark.parametrize("neovim", [NEOVIMS[0], NEOVIMS[3]], ids=lambda p: "-".join(p), indirect=True)
def test_the_denoising_can_be_watched(real):
    line = real.lines()[83]
    real.nvim.command("call cursor(84, col([84, '$']))")
    real.type("A<BS>")
    wait_for("a shorter line", lambda: real.lines()[83] == line[:-1])
    real.nvim.command("Cinnabar watch")
    # The buffer's text, not the file's, and what was suggested in it; drawn by the program in the window below.
    drawn = lambda: [row for row in real.lines() if row.startswith(line[:-1]) and len(row) > len(line)]  # noqa: E731
    wait_for(lambda: "a picture in\n" + "\n".join(real.screen()), drawn)


@pytest.mark.parametrize("neovim", [NEOVIMS[0]], ids=lambda p: "-".join(p), indirect=True)
def test_the_program_may_die_and_ends_with_the_editor(real):
    def servers():
        return [child for child in psutil.Process(real.nvim.funcs.getpid()).children() if serves(child)]

    (first,) = servers()
    first.kill()
    wait_for("second server", lambda: [server for server in servers() if server != first])
    real.is_in("ready")
    real.type("84GA<BS>")
    ghost(real)
    (second,) = servers()
    real.nvim.command("qall!", async_=True)
    wait_for("end of the server", lambda: not serves(second))
