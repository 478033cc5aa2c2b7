"""A server of the Model Context Protocol that does what its first argument says, much of which no server should."""

import json
import os
import signal
import subprocess
import sys
import time

how = sys.argv[1]
if len(sys.argv) > 2:
    with open(sys.argv[2], "a") as file:
        file.write(f"{os.getpid()}\n")


def send(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def answer(request, result):
    send({"jsonrpc": "2.0", "id": request["id"], "result": result})


def text(words):
    return {"content": [{"type": "text", "text": words}]}


if how == "silent":
    time.sleep(600)
if how == "dies":
    sys.exit("no licence")
if how == "prose":
    print("Welcome to the server!", flush=True)
if how == "endless":
    while True:
        sys.stdout.write("x" * 65536)
        sys.stdout.flush()
if how == "noisy":
    sys.stderr.write("x" * 10_000_000)
if how.startswith("stays"):
    # A process that outlives a polite end, with one that it started.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "600"])
    with open(sys.argv[2], "a") as file:
        file.write(f"{child.pid}\n")

calls = 0
for line in sys.stdin:
    request = json.loads(line)
    method = request.get("method")
    if method == "initialize":
        answer(request, {
            "protocolVersion": request["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": how, "version": "1"},
        })
    elif method == "tools/list":
        name = "bad.name" if how == "names" else "echo"
        tools = [{"name": name, "inputSchema": {"type": "object"}}] * (1 if how != "endless-list" else 400)
        answer(request, {"tools": tools, **({"nextCursor": "more"} if how == "endless-list" else {})})
    elif method == "notifications/cancelled" and len(sys.argv) > 3:
        with open(sys.argv[3], "a") as file:
            file.write("cancelled\n")
    elif method == "tools/call":
        calls += 1
        arguments = request["params"].get("arguments", {})
        if how in ("prose", "noisy", "plain", "stays"):
            answer(request, text(json.dumps(arguments, sort_keys=True)))
        elif how == "count":
            answer(request, text(str(calls)))
        elif how in ("hangs", "stays-and-hangs") or (how == "hangs-once" and calls == 1 and arguments.get("hang")):
            pass
        elif how == "exits":
            os._exit(3)
        elif how == "huge":
            answer(request, text("x" * 8_000_000))
        elif how == "large":
            answer(request, text("x" * 2_000_000))
        elif how == "deep":
            sys.stdout.write('{"jsonrpc": "2.0", "id": %s, "result": ' % json.dumps(request["id"]))
            sys.stdout.write("[" * 100_000 + "]" * 100_000 + "}\n")
            sys.stdout.flush()
        elif how == "wrong-id":
            send({"jsonrpc": "2.0", "id": 424242, "result": text("for nobody")})
        elif how == "flood":
            for number in range(20_000):
                send({"jsonrpc": "2.0", "method": "notifications/message",
                      "params": {"level": "info", "data": number}})
            answer(request, text("after the flood"))
        elif how == "asks":
            send({"jsonrpc": "2.0", "id": 7, "method": "sampling/createMessage",
                  "params": {"messages": [], "maxTokens": 1}})
            reply = json.loads(sys.stdin.readline())
            answer(request, text("refused" if "error" in reply else "sampled"))
        elif how == "error":
            answer(request, {**text("the disk is full"), "isError": True})
        elif how == "rpc-error":
            send({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32602, "message": "no such tool"}})
