"""Agents and clients against a real server, both of which are killed.

The environment variable COUNTERPOINT_HTTP names the program of packages/http.
"""

import asyncio
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import Any, List

from counterpoint_agent import (
    AccessDenied,
    Agent,
    Attempt,
    Client,
    Failure,
    Problem,
    RunFailed,
    TaskFailed,
    Unavailable,
)

PROGRAM = os.environ.get("COUNTERPOINT_HTTP")
EXAMPLE = Path(__file__).parent.parent / "examples" / "square.py"
SOURCE = Path(__file__).parent.parent / "src"
TOKENS = [
    {"token": "client", "name": "ada", "roles": ["submitter"]},
    {"token": "operator", "name": "grace", "roles": ["operator"]},
] + [{"token": f"agent-{id}", "name": f"agent {id}", "roles": ["agent"], "agents": [id]} for id in range(1, 5)]


class Server:
    """A server as a process, on a port and a folder that stay when it is killed."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._root = Path(self._folder.name)
        (self._root / "tokens.json").write_text(json.dumps(TOKENS))
        self._listen = "127.0.0.1:0"
        self.start()

    def start(self) -> None:
        command = [PROGRAM, "--folder", self._root / "journal", "--tokens", self._root / "tokens.json"]
        self._process = subprocess.Popen(command + ["--listen", self._listen], stdout=subprocess.PIPE, text=True)
        line = self._process.stdout.readline().strip()
        self.url = line.split()[-1]
        self._listen = self.url.split("//")[1]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def close(self) -> None:
        self.kill()
        self._folder.cleanup()


@dataclasses.dataclass
class Page:
    number: int
    words: List[str]


@unittest.skipUnless(PROGRAM, "COUNTERPOINT_HTTP is not set")
class WithServer(unittest.TestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.addCleanup(self.server.close)
        self.client = Client(self.server.url, token="client")
        self.operator = Client(self.server.url, token="operator")
        self.addCleanup(self.client.close)
        self.addCleanup(self.operator.close)

    def begin(self, agent: Agent) -> threading.Thread:
        thread = threading.Thread(target=agent.run, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 10)
        self.addCleanup(agent.stop)
        return thread

    def agent(self, id: int = 1, **options: Any) -> Agent:
        return Agent(self.server.url, token=f"agent-{id}", id=id, **dict({"lease": 3.0}, **options))

    def test_long_work_goes_on_from_the_details_of_an_attempt_that_was_lost(self) -> None:
        first, second, lost = self.agent(1, lease=0.5), self.agent(2), threading.Event()

        def copy(pages: int, attempt: Attempt) -> dict:
            done = attempt.last_details or 0
            for page in range(done + 1, pages + 1):
                if page == 4 and attempt.number == 1:
                    # The function hangs: its agent is alive, and the attempt silent.
                    lost.set()
                    attempt.wait_cancelled(30)
                    raise Failure("lost", kind="unknown")
                attempt.heartbeat(page)
                attempt.progress(page / pages, f"page {page} of {pages}")
                attempt.emit(f"text of page {page}")
            return {"from": done, "agent": attempt.number}

        async def copy_async(pages: int, attempt: Attempt) -> dict:
            return copy(pages, attempt)

        first.task("copy")(copy)
        second.task("copy")(copy_async)
        self.begin(first)
        policy = {"heartbeat_timeout": "600ms", "retry": {"attempts": 3, "base": "10ms", "cap": "10ms"}}
        task = self.client.submit("copy", 6, policy=policy)
        self.assertTrue(lost.wait(20))
        self.begin(second)
        self.assertEqual(task.result(20), {"from": 3, "agent": 2})
        reports = list(task.reports())
        self.assertEqual([report.get("progress") for report in reports[:1]], [{"share": 1.0, "text": "page 6 of 6"}])
        self.assertEqual([(report["chunk"], report["number"]) for report in reports[1:]], [("text of page 6", 2)])
        with self.assertRaises(Problem) as raised:
            list(self.client.task("99").reports())
        self.assertEqual(raised.exception.code, "unknown_task")

    def test_reports_are_read_as_they_are_made(self) -> None:
        agent, read = self.agent(), threading.Event()

        @agent.task("write")
        def write(words: List[str], attempt: Attempt) -> int:
            for word in words:
                attempt.emit(word)
            # The task ends once a reader has the words.
            read.wait(20)
            return len(words)

        words = ["Once", "upon", "a", "time"]
        task = self.client.submit("write", words)
        self.begin(agent)
        seen = []
        for report in task.reports():
            seen.append(report["chunk"])
            if seen[-1] == "time":
                read.set()
        self.assertEqual(task.result(20), 4)
        # A reader that comes late begins with the last word.
        self.assertEqual(seen, words[-len(seen):])

    def test_plain_and_async_functions_with_types(self) -> None:
        agent = self.agent(capacity=3)

        @agent.task("count")
        def count(page: Page) -> dict:
            return {"words": len(page.words)}

        @agent.task("again")
        async def again(page: Page, attempt: Attempt) -> Page:
            await asyncio.sleep(0.01)
            return Page(page.number + attempt.number, page.words * 2)

        self.begin(agent)
        given = {"number": 1, "words": ["a", "b"]}
        self.assertEqual(self.client.submit("count", given).result(20), {"words": 2})
        self.assertEqual(self.client.submit("again", given).result(20), {"number": 2, "words": ["a", "b", "a", "b"]})
        with self.assertRaises(TaskFailed) as raised:
            self.client.submit("count", {"number": 1}).result(20)
        self.assertEqual(raised.exception.failure.code, "invalid-input")

    def test_failures_decide_what_follows(self) -> None:
        agent, tries = self.agent(), []

        @agent.task("work")
        def work(payload: dict) -> Any:
            tries.append(payload["how"])
            if payload["how"] == "permanent":
                raise Failure("cannot be done", kind="permanent", code="shop.closed", details={"until": 9})
            if payload["how"] == "raises" and tries.count("raises") < 2:
                raise KeyError("lost")
            if payload["how"] == "no-json":
                return object()
            return len(tries)

        self.begin(agent)
        with self.assertRaises(TaskFailed) as raised:
            self.client.submit("work", {"how": "permanent"}).result(20)
        failure = raised.exception.failure
        self.assertEqual((failure.kind, failure.code, failure.details), ("permanent", "shop.closed", {"until": 9}))
        self.assertEqual(tries, ["permanent"])
        self.assertEqual(self.client.submit("work", {"how": "raises"}).result(20), 3)
        with self.assertRaises(TaskFailed) as raised:
            self.client.submit("work", {"how": "no-json"}).result(20)
        self.assertEqual(raised.exception.failure.code, "invalid-output")

    def test_equal_keys_are_one_task_and_attempts_have_its_key(self) -> None:
        agent, keys = self.agent(), []

        @agent.task("pay")
        def pay(payload: Any, attempt: Attempt) -> str:
            keys.append(attempt.key)
            if attempt.number == 1:
                raise Failure("again")
            return "paid"

        self.begin(agent)
        first, second = (self.client.submit("pay", 1, key="order-17") for _ in range(2))
        self.assertEqual(first.id, second.id)
        self.assertEqual((first.result(20), second.result(20)), ("paid", "paid"))
        self.assertEqual((len(keys), len(set(keys))), (2, 1))
        with self.assertRaises(Problem) as raised:
            self.client.submit("pay", 2, key="order-17")
        self.assertEqual(raised.exception.status, 409)

    def test_a_cancelled_task_is_noticed_by_plain_and_async_functions(self) -> None:
        agent = self.agent(capacity=2, lease=0.9)
        begun, noticed = threading.Semaphore(0), []

        @agent.task("plain")
        def plain(payload: Any, attempt: Attempt) -> None:
            begun.release()
            noticed.append(attempt.wait_cancelled(20))
            attempt.raise_if_cancelled()

        @agent.task("async")
        async def slow(payload: Any) -> None:
            begun.release()
            try:
                await asyncio.sleep(20)
            except asyncio.CancelledError:
                noticed.append("async")
                raise

        self.begin(agent)
        # Both slots are taken: the agent asks for no work, and fetches cancellations with its heartbeats.
        tasks = [self.client.submit(kind) for kind in ("plain", "async")]
        for task in tasks:
            self.assertTrue(begun.acquire(timeout=20))
        for task in tasks:
            task.cancel("not needed")
            with self.assertRaises(TaskFailed):
                task.result(20)
        until(lambda: len(noticed) == 2)
        self.assertEqual(sorted(map(str, noticed)), ["True", "async"])

    def test_an_agent_that_stops_finishes_its_tasks_first(self) -> None:
        agent, begun = self.agent(capacity=1), threading.Event()

        @agent.task("slow")
        def slow(payload: Any, attempt: Attempt) -> int:
            begun.set()
            time.sleep(0.5)
            return attempt.number

        thread = self.begin(agent)
        tasks = [self.client.submit("slow", index) for index in range(3)]
        self.assertTrue(begun.wait(20))
        agent.stop()
        thread.join(20)
        self.assertFalse(thread.is_alive())
        states = [task.state()["state"] for task in tasks]
        self.assertEqual(sorted(states), ["queued", "queued", "succeeded"])

    def test_runs(self) -> None:
        agent = self.agent()

        @agent.task("greet")
        def greet(payload: Any) -> str:
            if payload == "nobody":
                raise Failure("there is nobody to greet", kind="permanent", code="nobody")
            return f"hello {payload}"

        self.begin(agent)
        self.operator.define(
            {
                "name": "welcome",
                "tasks": [
                    {"id": "go", "wait": {"signal": "go"}},
                    {"id": "greet", "inputs": "${go.output}", "depends_on": ["go"]},
                ],
                "outputs": "${greet.output}",
            }
        )
        runs = [self.client.start("welcome", key=f"welcome-{index}") for index in range(2)]
        self.assertEqual(self.client.start("welcome", key="welcome-0").id, runs[0].id)
        with self.assertRaises(TimeoutError):
            runs[0].result(0.1)
        for run, name in zip(runs, ["Oslo", "nobody"]):
            run.signal("go", name)
        self.assertEqual(runs[0].result(20), "hello Oslo")
        with self.assertRaises(RunFailed) as raised:
            runs[1].result(20)
        self.assertEqual(raised.exception.failure.code, "nobody")
        found = [run["id"] for run in self.operator.runs(workflow="welcome")]
        self.assertEqual(sorted(found), sorted(run.id for run in runs))
        events = self.operator.events(after=0, run=runs[0].id)
        self.assertGreater(next(events)["seq"], 0)
        events.close()

    def test_errors_have_types(self) -> None:
        with self.assertRaises(AccessDenied), Client(self.server.url, token="unknown") as unknown:
            unknown.submit("a")
        with self.assertRaises(AccessDenied):
            agent = Agent(self.server.url, token="client", id=1)
            agent.task("a")(lambda payload: payload)
            agent.run()
        with self.assertRaises(Problem) as raised:
            self.client.start("missing", key="x")
        self.assertEqual(raised.exception.status, 404)
        with self.assertRaises(Problem) as raised:
            self.client.task("77").state()
        self.assertEqual(raised.exception.status, 404)
        with self.assertRaises(Unavailable):
            Client("http://127.0.0.1:9", token=None, patience=0.2).submit("a")

    def test_agents_and_clients_survive_the_end_of_the_server(self) -> None:
        agent, seen = self.agent(capacity=2, lease=1.0), []

        @agent.task("square")
        def square(payload: dict, attempt: Attempt) -> int:
            seen.append(attempt.key)
            time.sleep(0.05)
            return payload["number"] ** 2

        self.begin(agent)
        policy = {"retry": {"attempts": 100, "base": "10ms", "cap": "100ms"}}
        tasks = []
        for number in range(40):
            tasks.append(self.client.submit("square", {"number": number}, key=f"square-{number}", policy=policy))
            if number % 10 == 9:
                self.server.kill()
                # The client repeats its request until the server is there again.
                threading.Timer(0.3, self.server.start).start()
        for number, task in enumerate(tasks):
            self.assertEqual(task.result(60), number**2)
        self.assertEqual(len(set(seen)), 40)

    def test_the_example_survives_kills_of_itself_and_of_the_server(self) -> None:
        environment = dict(os.environ, PYTHONPATH=str(SOURCE))

        def start(id: int) -> subprocess.Popen:
            command = [sys.executable, EXAMPLE, self.server.url, f"agent-{id}", str(id)]
            return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

        agents = [start(1), start(2)]
        self.addCleanup(lambda: [one.kill() or one.wait() for one in agents])
        policy = {"retry": {"attempts": 100, "base": "10ms", "cap": "100ms"}}
        tasks = []
        for number in range(30):
            payload = {"number": number, "takes": 0.05}
            tasks.append(self.client.submit("square", payload, key=f"example-{number}", policy=policy))
            if number % 7 == 3:
                agents[0].kill()
                agents[0].wait()
                agents[0] = start(1)
            if number % 15 == 14:
                self.server.kill()
                self.server.start()
        for number, task in enumerate(tasks):
            self.assertEqual(task.result(60), {"squared": number**2})
        agents[1].send_signal(signal.SIGTERM)
        self.assertEqual(agents[1].wait(20), 0)


def until(holds: Any, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s")
        time.sleep(0.01)


if __name__ == "__main__":
    unittest.main()
