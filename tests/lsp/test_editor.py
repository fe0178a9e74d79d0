"""An independent client in front of the real binary with the real model.

    pip install -r tests/lsp/requirements.txt
    cargo build && pytest tests/lsp

CINNABAR_BIN names another binary. The client is pygls: its types are generated from the protocol's
meta-model, its framing and its request ids (strings) are its own.
"""

import asyncio
import os
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import pytest_asyncio
import pytest_lsp
from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcRequestCancelled
from pytest_lsp import ClientServerConfig, LanguageClient

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "data" / "samples"
BINARY = os.environ.get("CINNABAR_BIN", str(ROOT / "target" / "debug" / "cinnabar"))
COMMAND = [BINARY, "lsp", "--stdio"]

# The user's own settings and counts are no part of a test.
HOME = tempfile.TemporaryDirectory()
os.environ |= {"XDG_CONFIG_HOME": HOME.name, "XDG_STATE_HOME": HOME.name}

# A slow machine may take its time here: what is tested is what is answered.
OPTIONS = {"deadlineMs": 120_000}

# After this the server hangs.
HUNG = 120


def answered(request):
    return asyncio.wait_for(request, HUNG)


def capabilities(encodings=("utf-8",), ghost_text=True):
    return lsp.ClientCapabilities(
        general=lsp.GeneralClientCapabilities(position_encodings=list(encodings)),
        window=lsp.WindowClientCapabilities(work_done_progress=True),
        text_document=lsp.TextDocumentClientCapabilities(
            inline_completion=lsp.InlineCompletionClientCapabilities() if ghost_text else None
        ),
    )


def params(**over):
    folder = lsp.WorkspaceFolder(uri=SAMPLES.as_uri(), name="samples")
    given = dict(capabilities=capabilities(), workspace_folders=[folder], initialization_options=OPTIONS)
    return lsp.InitializeParams(**(given | over))


@pytest_lsp.fixture(config=ClientServerConfig(server_command=COMMAND), scope="module")
async def client(client_: LanguageClient):
    result = await client_.initialize_session(params())
    client_.result = result
    yield
    await client_.shutdown_session()


class Buffer:
    """An open buffer that is edited as an editor does it, in UTF-8 columns."""

    n_opened = 0

    def __init__(self, client, name, text):
        Buffer.n_opened += 1
        self.client, self.text, self.version = client, text, 1
        self.uri = (SAMPLES / f"{Buffer.n_opened}" / name).as_uri()
        language = {"py": "python", "rs": "rust"}[name.rsplit(".", 1)[1]]
        item = lsp.TextDocumentItem(uri=self.uri, language_id=language, version=1, text=text)
        client.text_document_did_open(lsp.DidOpenTextDocumentParams(text_document=item))

    def position(self, offset):
        before = self.text[:offset]
        line = before.count("\n")
        return lsp.Position(line=line, character=len(before.rsplit("\n", 1)[-1].encode()))

    def replace(self, start, end, text):
        where = lsp.Range(start=self.position(start), end=self.position(end))
        self.version += 1
        change = lsp.TextDocumentContentChangePartial(range=where, text=text)
        document = lsp.VersionedTextDocumentIdentifier(uri=self.uri, version=self.version)
        self.client.text_document_did_change(
            lsp.DidChangeTextDocumentParams(text_document=document, content_changes=[change])
        )
        self.text = self.text[:start] + text + self.text[end:]

    def inline_params(self, offset):
        return lsp.InlineCompletionParams(
            text_document=lsp.TextDocumentIdentifier(uri=self.uri),
            position=self.position(offset),
            context=lsp.InlineCompletionContext(trigger_kind=lsp.InlineCompletionTriggerKind.Automatic),
        )

    async def ask(self, offset):
        """The text suggested at an offset, inserted at the cursor; "" for nothing."""
        answer = await answered(self.client.text_document_inline_completion_async(self.inline_params(offset)))
        if not answer.items:
            return ""
        [item] = answer.items
        assert item.range == lsp.Range(start=self.position(offset), end=self.position(offset))
        return item.insert_text

    def close(self):
        identifier = lsp.TextDocumentIdentifier(uri=self.uri)
        self.client.text_document_did_close(lsp.DidCloseTextDocumentParams(text_document=identifier))


def sample(name, cut):
    """A sample's text without a piece of it, and where the piece was."""
    text = (SAMPLES / name).read_text()
    assert text.count(cut) == 1, cut
    return text.replace(cut, ""), text.index(cut)


async def test_capabilities(client):
    offered = client.result.capabilities
    assert offered.position_encoding == "utf-8"
    assert offered.inline_completion_provider
    assert offered.completion_provider is None, "the same suggestion would show twice"
    assert offered.text_document_sync.change == lsp.TextDocumentSyncKind.Incremental


async def test_a_missing_statement_of_a_real_file(client):
    text, at = sample("lru_cache.py", "self.expires = expires")
    buffer = Buffer(client, "lru_cache.py", text)
    assert await buffer.ask(at) == "self.expires = expires"
    assert await buffer.ask(at) == "self.expires = expires", "the same text for the same prompt"
    buffer.close()


async def test_progress_was_shown_while_the_model_loaded(client):
    # The tests before have had answers, so it is loaded. A fast load may be over before it could be shown.
    for reports in client.progress_reports.values():
        kinds = [report.kind for report in reports]
        assert kinds in ([], ["begin", "end"])


async def test_typing_goes_on_into_the_suggestion(client):
    text, at = sample("lru_cache.py", "self.expires = expires")
    buffer = Buffer(client, "lru_cache.py", text)
    for typed in "self.exp":
        buffer.replace(at, at, typed)
        at += 1
    assert (await buffer.ask(at)).splitlines()[0] == "ires = expires"
    # A correction: three characters are taken back.
    buffer.replace(at - 3, at, "")
    assert (await buffer.ask(at - 3)).splitlines()[0] == "expires = expires"
    buffer.close()


async def test_inside_a_line_and_in_rust(client):
    text = "fn area(width: u32, height: u32) -> u32 {\n    width * ;\n}\n"
    buffer = Buffer(client, "area.rs", text)
    assert await buffer.ask(text.index(";")) == "height"
    buffer.close()


async def test_emoji_and_line_breaks_of_windows(client):
    lines = ['greeting = "👋 足し算"', "", "", "class Point:", "    def __init__(self, x, y):", "        self.x = x", "        self.y = y", "", "    def __add__(self, other)", ""]
    text = "\r\n".join(lines)
    buffer = Buffer(client, "point.py", text)
    at = len(text) - 2
    buffer.replace(at, at, ":")
    answer = await buffer.ask(at + 1)
    assert answer.startswith("\r\n        return self.x"), answer
    assert "\n" not in answer.replace("\r\n", "")
    buffer.close()


async def test_only_the_newest_of_many_is_answered(client):
    text, at = sample("lru_cache.py", "self.expires = expires")
    buffer = Buffer(client, "lru_cache.py", text)
    asked = [client.text_document_inline_completion_async(buffer.inline_params(at)) for _ in range(10)]
    *old, newest = await answered(asyncio.gather(*asked))
    assert old == [None] * 9
    assert newest.items[0].insert_text == "self.expires = expires"
    buffer.close()


async def test_cancelling_is_answered_at_once(client):
    text, at = sample("lru_cache.py", "self.expires = expires")
    buffer = Buffer(client, "lru_cache.py", text)
    before = set(client.protocol._request_futures)
    request = asyncio.ensure_future(client.text_document_inline_completion_async(buffer.inline_params(at)))
    await asyncio.sleep(0)
    [id] = set(client.protocol._request_futures) - before
    client.cancel_request(lsp.CancelParams(id=id))
    with pytest.raises(JsonRpcRequestCancelled):
        await answered(request)
    assert await buffer.ask(at) == "self.expires = expires", "the next one is answered"
    buffer.close()


async def test_unknown_documents_and_positions(client):
    text, _ = sample("lru_cache.py", "self.expires = expires")
    buffer = Buffer(client, "lru_cache.py", text)
    buffer.close()
    answer = await answered(client.text_document_inline_completion_async(buffer.inline_params(0)))
    assert not answer.items
    buffer = Buffer(client, "short.py", "x = 1\n")
    far = buffer.inline_params(0)
    far.position = lsp.Position(line=10**6, character=10**6)
    assert await answered(client.text_document_inline_completion_async(far)) is not None
    buffer.close()


@pytest_asyncio.fixture
async def other():
    """Clients of their own servers."""
    config = ClientServerConfig(server_command=COMMAND)
    clients = []

    async def start():
        clients.append(await config.start())
        return clients[-1]

    yield start
    for client in clients:
        await client.shutdown_session()
        await client.stop()


async def test_a_menu_for_an_editor_without_ghost_text(other):
    client = await other()
    info = lsp.ClientInfo(name="helix")
    given = params(capabilities=capabilities(["utf-16"], ghost_text=False), client_info=info)
    result = await client.initialize_session(given)
    assert "." in result.capabilities.completion_provider.trigger_characters
    text, at = sample("lru_cache.py", "self.expires = expires")
    text = text[:at] + "self.exp" + text[at:]
    buffer = Buffer(client, "lru_cache.py", text)
    at += len("self.exp")
    where = lsp.CompletionParams(
        text_document=lsp.TextDocumentIdentifier(uri=buffer.uri), position=buffer.position(at)
    )
    answer = await answered(client.text_document_completion_async(where))
    [item] = answer.items
    assert answer.is_incomplete
    assert item.label == item.filter_text == "expires = expires"
    assert item.kind == lsp.CompletionItemKind.Text
    assert item.text_edit.new_text.splitlines()[0] == "expires = expires"
    assert item.text_edit.range == lsp.Range(start=buffer.position(at - 3), end=buffer.position(at))


async def test_a_model_that_is_not_there_is_told(other):
    client = await other()
    options = {"model": "/no/such/model.gguf", "block": 7}
    await client.initialize_session(params(initialization_options=options))
    buffer = Buffer(client, "x.py", "x = ")
    assert await buffer.ask(4) == ""
    messages = "\n".join(message.message for message in client.messages)
    assert "/no/such/model.gguf" in messages and "block must be" in messages, messages


def frame(body):
    return f"Content-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize("order, code", [(["shutdown", "exit"], 0), (["exit"], 1), ([], 1)])
def test_the_process_ends_soon_and_prints_only_frames(order, code):
    process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(frame('{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{}}}'))
    for method in order:
        id = '"id":2,' if method == "shutdown" else ""
        process.stdin.write(frame(f'{{"jsonrpc":"2.0",{id}"method":"{method}"}}'))
    process.stdin.flush()
    # The engine is loading now. With `exit` the pipe stays open, as some editors leave it.
    started = time.monotonic()
    if not order:
        process.stdin.close()
    assert process.wait(timeout=10) == code
    assert time.monotonic() - started < 2
    out = process.stdout.read()
    assert out.startswith(b"Content-Length: ")
    while out:
        header, _, rest = out.partition(b"\r\n\r\n")
        length = int(header.removeprefix(b"Content-Length: "))
        assert rest[:length].startswith(b"{") and rest[:length].endswith(b"}")
        out = rest[length:]
