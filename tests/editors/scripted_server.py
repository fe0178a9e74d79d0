"""A language server that answers from a script, so that what an editor does is tested apart from what a model says.

    python scripted_server.py SCRIPT LOG

SCRIPT is a JSON object:
  rules     list of {after, insert, replaces?, held?}: where the text before the cursor ends with `after` and any
            first part of `insert`, the rest of `insert` is suggested; `replaces` is text right of the cursor that it
            takes the place of. The first rule that fits counts. Its answer is not given while it is `held`.
  loading   true: the server is not ready, and says so, until this is false
It is read again at every request, and meanwhile. LOG gets one line of JSON per message from the editor, and the process id first.
Line breaks of the script are \n; those of the answers are the document's.
"""

import json
import sys
import threading
import time

SCRIPT, LOG = sys.argv[1:3]
UNITS = {"utf-8": lambda c: len(c.encode()), "utf-16": lambda c: len(c.encode("utf-16-le")) // 2}
ACCEPTED = "cinnabar.didAccept"

documents = {}
cancelled = set()
writing = threading.Lock()
encoding = "utf-16"


def log(entry):
    with open(LOG, "a") as file:
        file.write(json.dumps(entry | {"at": time.time()}) + "\n")


def read():
    length = 0
    while (header := sys.stdin.buffer.readline()) not in (b"\r\n", b""):
        name, value = header.split(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return json.loads(sys.stdin.buffer.read(length)) if header else None


def send(**message):
    body = json.dumps({"jsonrpc": "2.0"} | message).encode()
    with writing:
        sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        sys.stdout.buffer.flush()


def read_script():
    # The tests replace the file as a whole.
    with open(SCRIPT) as file:
        return json.load(file)


def is_held(rule):
    return any(now["after"] == rule["after"] and now.get("held") for now in read_script()["rules"])


def to_offset(text, position):
    lines = text.splitlines(keepends=True) + [""]
    start = sum(map(len, lines[: position["line"]]))
    line = lines[position["line"]] if position["line"] < len(lines) else ""
    units = 0
    for n, char in enumerate(line):
        if units >= position["character"] or char in "\r\n":
            return start + n
        units += UNITS[encoding](char)
    return start + len(line)


def to_position(text, offset):
    before = text[:offset]
    line = before[before.rfind("\n") + 1 :]
    return {"line": before.count("\n"), "character": sum(map(UNITS[encoding], line))}


def change(uri, edits):
    for edit in edits:
        text = documents[uri]
        if "range" in edit:
            start, end = (to_offset(text, edit["range"][side]) for side in ("start", "end"))
            documents[uri] = text[:start] + edit["text"] + text[end:]
        else:
            documents[uri] = edit["text"]


def fit(text, offset, rules):
    before, right = text[:offset].replace("\r\n", "\n"), text[offset:]
    for rule in rules:
        if not right.startswith(rule.get("replaces", "")):
            continue
        for typed in range(len(rule["insert"])):
            if before.endswith(rule["after"] + rule["insert"][:typed]):
                return rule, rule["insert"][typed:]
    return None, ""


def answer(request, text, offset, rule, rest):
    while rule and request["id"] not in cancelled and is_held(rule):
        time.sleep(0.02)
    if request["id"] in cancelled:
        return send(id=request["id"], error={"code": -32800, "message": "cancelled"})
    items = []
    end = offset + len(rule.get("replaces", "")) if rule else offset
    span = {"start": to_position(text, offset), "end": to_position(text, end)}
    rest = rest.replace("\n", "\r\n") if "\r\n" in text else rest
    if rule and request["method"] == "textDocument/inlineCompletion":
        command = {"title": "Accepted", "command": ACCEPTED, "arguments": [f"suggestion {request['id']}"]}
        items = [{"insertText": rest, "range": span, "command": command}]
    elif rule:
        word = text[:offset].split("\n")[-1]
        word = word[len(word.rstrip("abcdefghijklmnopqrstuvwxyz_")) :]
        span["start"] = to_position(text, offset - len(word))
        edit = {"range": span, "newText": word + rest}
        label = (word + rest).strip().split("\n")[0].strip()
        items = [{"label": label, "kind": 1, "filterText": label, "sortText": "\x01", "textEdit": edit}]
    listed = {"items": items} | ({} if "inline" in request["method"] else {"isIncomplete": True})
    send(id=request["id"], result=listed)


def load():
    if read_script().get("loading"):
        send(id="loading", method="window/workDoneProgress/create", params={"token": "loading"})
        send_progress({"kind": "begin", "title": "loading the model"})
        while read_script().get("loading"):
            time.sleep(0.02)
        send_progress({"kind": "end", "message": "scripted"})


def send_progress(value):
    send(method="$/progress", params={"token": "loading", "value": value})


def initialize(request):
    global encoding
    capabilities = request["params"]["capabilities"]
    offered = capabilities.get("general", {}).get("positionEncodings", [])
    encoding = "utf-8" if "utf-8" in offered else "utf-16"
    provided = {"positionEncoding": encoding, "textDocumentSync": {"openClose": True, "change": 2}}
    if "inlineCompletion" in capabilities["textDocument"]:
        provided["inlineCompletionProvider"] = True
        provided["executeCommandProvider"] = {"commands": [ACCEPTED]}
    else:
        provided["completionProvider"] = {"triggerCharacters": [" ", "(", "="]}
    send(id=request["id"], result={"capabilities": provided, "serverInfo": {"name": "scripted"}})


def handle(message):
    method, params = message.get("method", ""), message.get("params")
    if method == "initialize":
        initialize(message)
    elif method == "initialized":
        threading.Thread(target=load).start()
    elif method == "textDocument/didOpen":
        documents[params["textDocument"]["uri"]] = params["textDocument"]["text"]
    elif method == "textDocument/didChange":
        change(params["textDocument"]["uri"], params["contentChanges"])
    elif method == "$/cancelRequest":
        cancelled.add(params["id"])
    elif method in ("textDocument/inlineCompletion", "textDocument/completion"):
        text = documents[params["textDocument"]["uri"]]
        offset = to_offset(text, params["position"])
        found = fit(text, offset, read_script()["rules"])
        threading.Thread(target=answer, args=(message, text, offset, *found)).start()
    elif "id" in message and method:
        send(id=message["id"], result=None)


def main():
    import os

    log({"pid": os.getpid()})
    while (message := read()) is not None and message.get("method") != "exit":
        log({"method": message.get("method"), "params": message.get("params")})
        handle(message)


main()
