"""The installation guides, step by step as they are written, each in an empty home."""

import re
import subprocess
import sys

import pytest

import guide
from conftest import NEOVIMS, editor
from neovim import REPOSITORY, Neovim, wait_for

GUIDE = "editors/neovim/README.md"


def check_neovim(nvim, tmp_path, path):
    """A Neovim that starts as the user's does has the plugin and a server that gets ready."""
    started = Neovim(editor(nvim), tmp_path, {"PATH": path}, arguments=())
    try:
        (tmp_path / "a.py").write_text("import os\n")
        started.edit(tmp_path / "a.py")
        started.is_in("ready")
        # It may be told to be loading once more before it stays ready.
        status = lambda: started.nvim.command("Cinnabar status") or "Cinnabar: ready (" in started.said()  # noqa: E731
        wait_for("status with the model's name", status)
        started.nvim.command("checkhealth cinnabar")
        report = "\n".join(started.lines())
        assert "ERROR" not in report and "WARNING" not in report, report
        assert "completes in 1 buffers" in report
        started.nvim.command("helptags ALL")
        assert started.nvim.funcs.getcompletion("cinnabar-keys", "help") == ["cinnabar-keys"]
    finally:
        started.close()


@pytest.mark.parametrize("nvim", sorted({name for name, _ in NEOVIMS}))
def test_neovim(nvim, tmp_path, cinnabar):
    check_neovim(nvim, tmp_path, guide.follow(GUIDE, tmp_path, cinnabar))


def test_neovim_with_its_own_package_manager(tmp_path, cinnabar):
    (tmp_path / "unused").mkdir()
    path = guide.follow(GUIDE, tmp_path / "unused", cinnabar)
    (snippet,) = [block for block in guide.blocks(GUIDE, "lua") if "vim.pack" in block]
    # A small checkout: cloning the real one would copy its history.
    checkout = tmp_path / "cinnabar"
    checkout.mkdir()
    subprocess.run(["cp", "-r", "--parents", "editors/neovim", checkout], cwd=REPOSITORY, check=True)
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], [*author, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", *command], cwd=checkout, check=True)
    (tmp_path / ".config/nvim").mkdir(parents=True)
    (tmp_path / ".config/nvim/init.lua").write_text(snippet)
    # The first start installs, and says so in messages that wait for a key.
    environment = {"HOME": str(tmp_path), "PATH": path}
    subprocess.run([editor("nvim-0.12"), "--headless", "+qa"], check=True, timeout=300, env=environment)
    check_neovim("nvim-0.12", tmp_path, path)


def test_the_options_in_the_guide_are_the_defaults(tmp_path):
    text = (REPOSITORY / GUIDE).read_text()
    (listed,) = re.findall(r"```lua\nrequire\('cinnabar'\).setup (\{\n.*?\n\})\n```", text, re.DOTALL)
    started = Neovim(editor("nvim-0.11"), tmp_path)
    try:
        started.set_up()
        same = "return vim.deep_equal(require('cinnabar.options').current, " + listed + ")"
        assert started.lua(same)
    finally:
        started.close()


def test_helix(tmp_path, cinnabar):
    path = guide.follow("editors/helix/README.md", tmp_path, cinnabar)
    (trigger,) = [block for block in guide.blocks("editors/helix/README.md", "toml") if "[editor]" in block]
    (tmp_path / ".config/helix/config.toml").write_text(trigger)
    languages = re.findall(r'^name = "(.*)"', (REPOSITORY / "editors/helix/languages.toml").read_text(), re.MULTILINE)
    assert "python" in languages
    for language in languages:
        command = [editor("hx"), "--health", language]
        environment = {"HOME": str(tmp_path), "PATH": path}
        report = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        assert f"cinnabar: {tmp_path}/.cargo/bin/cinnabar" in re.sub(r"\x1b\[[0-9;]*m", "", report)


def test_helix_list_of_servers_is_that_of_its_generator():
    command = [sys.executable, REPOSITORY / "editors/helix/languages.py", editor("hx")]
    written = subprocess.run(command, capture_output=True, text=True, check=True, env={"HOME": "/nonexistent"}).stdout
    committed = (REPOSITORY / "editors/helix/languages.toml").read_text()
    # The built-in servers differ from version to version of Helix, the languages and Cinnabar's part do not.
    ours = re.compile(r'^name = .*|\{ name = "cinnabar".*|^\[.*', re.MULTILINE)
    assert ours.findall(written) == ours.findall(committed)
