#!/usr/bin/env python3
"""Work through this server and through what a team would use instead, in one run and one table.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install celery redis packaging dbos      # and: apt-get install redis-server
    cargo build --profile dist -p counterpoint-server
    /tmp/peers/bin/python packages/server/peers/peers.py [SECONDS]

Each client submits a task that returns its input, waits for the result, and then submits the next one: the time of a task is the
time from its submission to its result. There are 32 clients, as threads of two processes. Workers are in processes of their
own: one process with 32 places for Counterpoint, two processes (the number of cores) for Celery. DBOS is a library:
clients and workers are threads of one process. Memory is the resident memory of all processes of a system except the clients,
after the load; for DBOS, of its only process. Without a program, its rows are left out.
"""

import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
# The words of processes that this program starts of itself are not a number.
SECONDS = float(sys.argv[1]) if sys.argv[1:2] and sys.argv[1][0].isdigit() else 15.0
PROCESSES, THREADS = 2, 16


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Http:
    """A connection that stays, with as little work of the client as possible."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb")

    def send(self, method, path, headers, body):
        body = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{headers}content-length: {len(body)}\r\n\r\n"
        self.socket.sendall(head.encode() + body)
        status = int(self.reader.readline().split()[1])
        length, chunked = 0, False
        while (line := self.reader.readline().strip()):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            elif name.lower() == b"transfer-encoding":
                chunked = True
        if chunked:
            content = b""
            while (size := int(self.reader.readline(), 16)):
                content += self.reader.read(size)
                self.reader.readline()
            self.reader.readline()
        else:
            content = self.reader.read(length)
        if status >= 300:
            raise RuntimeError(f"{status}: {content[:300]}")
        return json.loads(content) if content else None


def counterpoint_client(port):
    http = Http(port)
    auth = "authorization: Bearer t\r\n"

    def one(number):
        key = f"idempotency-key: {os.getpid()}-{threading.get_ident()}-{number}\r\n"
        answer = http.send("POST", "/v1/tasks", auth + key, {"kind": "echo", "payload": number})
        while "outcome" not in answer:
            answer = http.send("GET", f"/v1/tasks/{answer['task']}?wait=20", auth, None)
        assert answer["outcome"]["succeeded"] == number, answer

    return one


def celery_client(port):
    app = celery_app(port)
    echo = app.signature("echo")

    def one(number):
        assert echo.apply_async((number,)).get(timeout=30) == number

    return one


def celery_app(port):
    from celery import Celery

    url = f"redis://127.0.0.1:{port}/0"
    app = Celery("peers", broker=url, backend=url)
    app.conf.worker_hijack_root_logger = False
    return app


CLIENTS = {"counterpoint": counterpoint_client, "celery": celery_client}


def load(make, seconds, threads):
    """The times of all tasks in seconds."""
    times, errors = [], []

    def work():
        try:
            one, number, own = make(), 0, []
            end = time.perf_counter() + seconds
            while (began := time.perf_counter()) < end:
                one(number)
                own.append(time.perf_counter() - began)
                number += 1
            times.extend(own)
        except Exception as error:
            errors.append(repr(error))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
    return times, errors


def client_process(name, port, seconds, pipe):
    pipe.send(load(lambda: CLIENTS[name](port), seconds, THREADS))


def from_processes(name, port):
    context = multiprocessing.get_context("spawn")
    times, errors, ends = [], [], []
    for _ in range(PROCESSES):
        end, other = context.Pipe()
        process = context.Process(target=client_process, args=(name, port, SECONDS, other))
        process.start()
        ends.append((process, end))
    for process, end in ends:
        more, failed = end.recv()
        times += more
        errors += failed
        process.join()
    return times, errors


def tree(process):
    """This process and those that it has started."""
    found = [process]
    for task in os.listdir(f"/proc/{process}/task"):
        with open(f"/proc/{process}/task/{task}/children") as children:
            for child in children.read().split():
                found += tree(int(child))
    return found


def memory(processes):
    total = 0
    for process in {each for one in processes for each in tree(one)}:
        with open(f"/proc/{process}/status") as status:
            total += sum(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))
    return total / 1e6


def row(name, times, errors, used):
    if errors:
        print(f"{name}: {len(errors)} clients ended: {errors[0]}", file=sys.stderr)
    times.sort()
    at = lambda share: times[min(int(len(times) * share), len(times) - 1)] * 1e3 if times else float("nan")
    print(f"| {name} | {len(times) / SECONDS:,.0f} | {at(0.5):.1f} | {at(0.99):.1f} | {used:.0f} |", flush=True)


class Started:
    """Processes that end with this block."""

    def __init__(self):
        self.processes = []

    def start(self, *words, **more):
        more = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **more}
        self.processes.append(subprocess.Popen(words, **more))
        return self.processes[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(port):
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing listens on {port}")


def counterpoint(folder):
    program = os.environ.get("COUNTERPOINT") or os.path.join(ROOT, "target/dist/counterpoint")
    if not os.path.exists(program):
        return print(f"no {program}: without Counterpoint", file=sys.stderr)
    roles = ["operator", "submitter", "agent"]
    with open(f"{folder}/tokens.json", "w") as tokens:
        json.dump([{"token": "t", "name": "peers", "roles": roles, "agents": [1]}], tokens)
    with Started() as started:
        port = free_port()
        words = ["--listen", f"127.0.0.1:{port}", "--data", f"{folder}/data", "--tokens", f"{folder}/tokens.json"]
        server = started.start(program, "serve", *words)
        wait_for(port)
        agent = started.start(sys.executable, __file__, "agent", str(port))
        time.sleep(1)
        if agent.poll() is not None:
            raise RuntimeError(f"the agent ended: {agent.returncode}")
        times, errors = from_processes("counterpoint", port)
        row("Counterpoint, journal in files", times, errors, memory([server.pid, agent.pid]))


def counterpoint_agent(port):
    sys.path.insert(0, os.path.join(ROOT, "packages/python/src"))
    from counterpoint_agent import Agent

    agent = Agent(f"http://127.0.0.1:{port}", token="t", id=1, name="echo", capacity=PROCESSES * THREADS)

    @agent.task("echo")
    async def echo(payload):
        return payload

    agent.run()


def celery(folder, name, *settings):
    if not shutil.which("redis-server"):
        return print("no redis-server: without Celery", file=sys.stderr)
    os.makedirs(f"{folder}/redis", exist_ok=True)
    with Started() as started:
        port = free_port()
        broker = started.start("redis-server", "--port", str(port), "--dir", f"{folder}/redis", "--save", "", *settings)
        wait_for(port)
        worker = started.start(sys.executable, __file__, "celery-worker", str(port))
        celery_app(port).send_task("echo", (1,)).get(timeout=30)
        times, errors = from_processes("celery", port)
        row(name, times, errors, memory([broker.pid, worker.pid]))


def celery_worker(port):
    app = celery_app(port)

    @app.task(name="echo")
    def echo(number):
        return number

    app.worker_main(["worker", f"--concurrency={os.cpu_count()}", "--loglevel=ERROR", "--without-gossip", "--without-mingle"])


def dbos(folder):
    from dbos import DBOS

    @DBOS.workflow()
    def echo(number):
        return number

    DBOS(config={"name": "peers", "system_database_url": f"sqlite:///{folder}/dbos.sqlite", "run_admin_server": False, "log_level": "ERROR"})
    DBOS.launch()

    def client():
        def one(number):
            assert DBOS.start_workflow(echo, number).get_result() == number

        return one

    times, errors = load(client, SECONDS, PROCESSES * THREADS)
    row("DBOS, SQLite in a file", times, errors, memory([os.getpid()]))
    DBOS.destroy()


def main():
    if sys.argv[1:2] == ["agent"]:
        return counterpoint_agent(int(sys.argv[2]))
    if sys.argv[1:2] == ["celery-worker"]:
        return celery_worker(int(sys.argv[2]))
    chosen = os.environ.get("PEERS", "counterpoint celery dbos").split()
    print(f"load averages before: {open('/proc/loadavg').read().strip()}; {PROCESSES * THREADS} clients, {SECONDS:.0f} s\n")
    print("| system | tasks/s | p50, ms | p99, ms | memory, MB |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if "counterpoint" in chosen:
            counterpoint(folder)
        if "celery" in chosen:
            celery(folder, "Celery, Redis without a file")
            celery(folder, "Celery, Redis that syncs each write", "--appendonly", "yes", "--appendfsync", "always")
        if "dbos" in chosen:
            dbos(folder)


if __name__ == "__main__":
    main()
