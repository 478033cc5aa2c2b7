"""Schema-driven fuzzing of a server that is killed every few seconds.

    schemathesis_kills.py PROGRAM MINUTES SECONDS

Requests of `schemathesis` pass a relay, which holds a request while the server is down and sends it again after a connection that
broke. Beside them, a client of its own submits tasks and starts runs. Both write what was acknowledged into a ledger outside of the
server. The server is ended with SIGKILL, by its own process id, every SECONDS, and started again with the same folder. At the end,
each task and each run of the ledger has to be there. An answer of 5xx other than 503 is a failure.

Needs nothing but Python and `schemathesis` on the search path. Called by `schemathesis.sh --kills`.
"""

import http.client
import http.server
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PROGRAM, MINUTES, SECONDS = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
HELD = 60  # how long the relay holds a request, in seconds
TOKEN = "Bearer t-ops"
AGENTS = list(range(1, 10))
TOKENS = [{"token": "t-ops", "name": "grace", "roles": ["operator", "submitter", "agent", "auditor"], "agents": AGENTS}]
FLOW = 'name: flow\ntasks: [{id: a}]\nagents: {a: {command: ["true"]}}\n'
HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "proxy-connection", "content-length"}


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Server:
    """A server that is killed and started again."""

    def __init__(self, folder):
        self.folder, self.port, self.kills, self.slowest = folder, free_port(), 0, 0.0
        with open(f"{folder}/tokens.json", "w") as file:
            json.dump(TOKENS, file)
        with open(f"{folder}/flow.yaml", "w") as file:
            file.write(FLOW)
        self.log = open(f"{folder}/log", "ab")
        self.process = None
        self.start()

    def start(self):
        words = [PROGRAM, "serve", "flow.yaml", "--data", "data", "--tokens", "tokens.json"]
        begun = time.monotonic()
        listen = ["--listen", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(words + listen, cwd=self.folder, stdout=self.log, stderr=self.log)
        while time.monotonic() < begun + 60:
            if self.process.poll() is not None:
                raise SystemExit(f"the server does not start again: {self.text()[-2000:]}")
            try:
                if ask(self.port, "GET", "/ready")[0] == 200:
                    self.slowest = max(self.slowest, time.monotonic() - begun)
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise SystemExit("the server is not ready within 60 s")

    def kill(self):
        if self.process.poll() is not None:
            raise SystemExit(f"the server has ended by itself: {self.text()[-2000:]}")
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.kills += 1

    def text(self):
        with open(f"{self.folder}/log", errors="replace") as file:
            return file.read()


def ask(port, method, path, body=None, headers=None, timeout=30):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body, headers or {"Authorization": TOKEN})
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


class Ledger:
    """What was acknowledged."""

    def __init__(self):
        self.lock, self.places, self.statuses, self.bad, self.again = threading.Lock(), {}, {}, [], 0

    def note(self, method, path, status, headers, body):
        with self.lock:
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if status >= 500 and status != 503:
                self.bad.append((method, path, status, body[:300]))
            place = {name.lower(): value for name, value in headers}.get("location", "")
            if method == "POST" and status in (200, 201) and re.fullmatch(r"/v1/(tasks|runs)/\d+", place):
                self.places.setdefault(place, time.strftime("%H:%M:%S"))


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that has gone."""


class Relay(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "relay"

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.relay
        raise AttributeError(name)

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            whole = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def relay(self):
        body, until = self.body(), time.monotonic() + HELD
        headers = [(name, value) for name, value in self.headers.items() if name.lower() not in HOP]
        while True:
            try:
                status, answered, text = self.once(headers, body)
                break
            except OSError:
                if time.monotonic() > until:
                    self.close_connection = True
                    return
                with self.server.ledger.lock:
                    self.server.ledger.again += 1
                time.sleep(0.05)
        self.server.ledger.note(self.command, self.path, status, answered, text)
        try:
            self.send_response_only(status)
            for name, value in answered:
                if name.lower() not in HOP:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)
        except OSError:
            self.close_connection = True

    def once(self, headers, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.backend.port, timeout=HELD + 10)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value.encode("latin-1", "replace"))
            if body or self.command in ("POST", "PUT", "PATCH", "DELETE"):
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()


def submit(port, stopped):
    """A client beside: each task and run under an id of its own, until it is acknowledged."""
    number = 10**15
    while not stopped.is_set():
        number += 1
        of = random.choice(["tasks", "runs"])
        body = {"id": str(number), "kind": "read"} if of == "tasks" else {"id": str(number), "workflow": "flow"}
        headers = {"Authorization": TOKEN, "Content-Type": "application/json"}
        try:
            ask(port, "POST", f"/v1/{of}", json.dumps(body), headers, timeout=HELD + 20)
        except OSError:
            pass
        time.sleep(0.02)


def kill_loop(server, stopped):
    while not stopped.wait(SECONDS * random.uniform(0.5, 1.5)):
        server.kill()
        server.start()


def main():
    folder = tempfile.mkdtemp()
    server, ledger = Server(folder), Ledger()
    relay = Listener(("127.0.0.1", 0), Relay)
    relay.backend, relay.ledger = server, ledger
    threading.Thread(target=relay.serve_forever, daemon=True).start()
    port, stopped, broken = relay.server_address[1], threading.Event(), []

    def killing():
        try:
            kill_loop(server, stopped)
        except BaseException as error:  # noqa: BLE001 - it is reported by the main thread
            broken.append(error)

    threads = [threading.Thread(target=killing), threading.Thread(target=submit, args=(port, stopped))]
    for thread in threads:
        thread.start()
    until, rounds, failed = time.monotonic() + MINUTES * 60, 0, 0
    while time.monotonic() < until and not broken:
        rounds += 1
        words = ["schemathesis", "run", f"http://127.0.0.1:{port}/openapi.json", "--url", f"http://127.0.0.1:{port}"]
        words += ["--header", f"Authorization: {TOKEN}", "--exclude-path-regex", "(/v1/events|/reports)$"]
        words += ["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"]
        words += ["--max-examples", "8", "--request-timeout", "90", "--workers", "2", "--no-color", "--seed", str(rounds)]
        # The last round goes on to its end, and the kills with it.
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
        print(*[line for line in done.stdout.splitlines() if " generated, " in line], flush=True)
        if done.returncode != 0:
            failed += 1
            print(done.stdout[-20000:], done.stderr[-2000:], flush=True)
    stopped.set()
    for thread in threads:
        thread.join()
    if broken:
        print(f"FAILED: {broken[0]}")
        return 1
    server.kill()
    server.start()
    lost = [place for place in ledger.places if ask(server.port, "GET", place)[0] != 200]
    tasks = sum(place.startswith("/v1/tasks") for place in ledger.places)
    print(f"{rounds} rounds, {failed} failed; {server.kills} kills, the slowest start {server.slowest:.2f} s")
    print(f"answers by status: {dict(sorted(ledger.statuses.items()))}; {ledger.again} requests sent again")
    print(f"acknowledged: {tasks} tasks, {len(ledger.places) - tasks} runs; lost: {len(lost)} {lost[:10]}")
    panics = [line for line in server.text().splitlines() if "an error of this program" in line or "panicked" in line]
    for what in [*ledger.bad[:10], *panics[:10]]:
        print(f"FAILED: {what}")
    server.kill()
    ok = not (failed or lost or ledger.bad or panics) and ledger.places
    if ok:
        shutil.rmtree(folder)
    else:
        print(f"kept: {folder}")
    return 0 if ok else 1


sys.exit(main())
