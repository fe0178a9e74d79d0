"""What the tests of the editors need: the editors, the program, a scripted server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from neovim import REPOSITORY, Neovim, Script  # noqa: E402

EDITORS = REPOSITORY / "target/editors/bin"


def pytest_configure(config):
    """Installs the editors, once for all runs; prints what cannot be had."""
    script = Path(__file__).with_name("install-editors.sh")
    environment = os.environ | {"PYTHON": sys.executable}
    done = subprocess.run(["sh", str(script)], stdout=subprocess.PIPE, text=True, check=True, env=environment)
    config.addinivalue_line("markers", "once: of the Neovims, only in two that stand for all")
    config.stash[REPORT] = done.stdout.splitlines()


REPORT = pytest.StashKey()


def pytest_collection_modifyitems(config, items):
    """Leaves out what is marked `once` where it would be done again."""
    again = [item for item in items if item.get_closest_marker("once") and item.callspec.params["neovim"] in NEOVIMS[1::2]]
    config.hook.pytest_deselected(items=again)
    items[:] = [item for item in items if item not in again]


def pytest_report_header(config):
    return config.stash[REPORT]


def editor(name):
    path = EDITORS / name
    if not path.exists():
        pytest.skip(f"{name} could not be installed")
    return path


@pytest.fixture(scope="session")
def cinnabar():
    """The program under test: CINNABAR_BIN, or the one built last in this checkout."""
    built = [REPOSITORY / "target" / profile / "cinnabar" for profile in ("release", "debug")]
    built = sorted((path for path in built if path.exists()), key=lambda path: -path.stat().st_mtime)
    path = os.environ.get("CINNABAR_BIN") or (built and built[0])
    if not path or not Path(path).exists():
        pytest.fail("there is no program to test: run `cargo build --release`, or set CINNABAR_BIN to its path")
    return Path(path).resolve()


# Every Neovim, and who draws the ghost text in it. The first and the third take all tests, the others those that are not
# marked `once`: what these do is the same code there.
NEOVIMS = [("nvim-0.12", "native"), ("nvim-0.12", "plugin"), ("nvim-0.11", "plugin"), ("nvim-0.10", "plugin")]


@pytest.fixture(params=NEOVIMS, ids=lambda p: "-".join(p))
def neovim(request, tmp_path):
    """A Neovim that nothing is set up in yet."""
    name, drawn = request.param
    started = Neovim(editor(name), tmp_path / "home")
    started.ghost_text = drawn
    yield started
    started.close()


@pytest.fixture
def script(tmp_path):
    return Script(tmp_path)


@pytest.fixture
def scripted(neovim, script):
    """A Neovim that the scripted server completes in."""
    neovim.set_up(path=sys.executable, args=script.arguments(), ghost_text=neovim.ghost_text)
    return neovim
