"""Installation guides, carried out as they are written."""

import os
import re
import shutil
import subprocess

from neovim import REPOSITORY

BUILD = "cargo build --release"


def blocks(guide, language):
    """The code blocks of a section "Install"."""
    text = (REPOSITORY / guide).read_text()
    install = text.split("## Install\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", install, re.MULTILINE | re.DOTALL)


def follow(guide, home, cinnabar):
    """Runs a guide's shell steps in the checkout, with another home. A program that was built already takes the place
    of the one that the first step builds, if that one is not there: a release build takes minutes."""
    steps = blocks(guide, "sh")
    assert len(steps) <= 3 and steps[0].startswith(BUILD)
    path = f"{home}/.cargo/bin:{os.environ['PATH']}"
    rust = {"CARGO_HOME": os.path.expanduser("~/.cargo"), "RUSTUP_HOME": os.path.expanduser("~/.rustup")}
    environment = rust | os.environ | {"HOME": str(home), "PATH": path}
    if not (REPOSITORY / "target/release/cinnabar").exists() and shutil.which(cinnabar):
        (home / ".cargo/bin").mkdir(parents=True)
        (home / ".cargo/bin/cinnabar").symlink_to(cinnabar)
        del steps[0]
    for step in steps:
        subprocess.run(["sh", "-ec", step], cwd=REPOSITORY, env=environment, check=True, timeout=1800)
    return path
