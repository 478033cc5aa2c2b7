"""A client: it submits tasks, defines workflows, starts, signals and awaits runs, and reads events."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any, Dict, Iterator, List, Optional
from urllib.parse import quote, urlencode

from .failure import Failure
from .wire import Unavailable, Wire

#: How long a request for an outcome is held open, in seconds.
WAIT = 20


class TaskFailed(Exception):
    """A task has not succeeded.

    :ivar outcome: the outcome as the server describes it.
    :ivar failure: the failure of its last attempt, if there is one.
    """

    def __init__(self, what: str, outcome: Any) -> None:
        self.outcome = outcome
        self.failure = _failure(outcome)
        super().__init__(f"{what}: {self.failure.message if self.failure else json.dumps(outcome)}")


class RunFailed(TaskFailed):
    """A run has not succeeded: it has failed, or was compensated."""


class Client:
    """A client of a server. It may be used from any number of threads.

    :param url: the server, such as ``"http://127.0.0.1:8080"``.
    :param token: a token whose roles permit the requests.
    :param patience: how long a request is repeated while the server cannot be reached, in seconds. Requests that start work
        have a key, so that a repeated one starts nothing twice.
    """

    def __init__(self, url: str, *, token: Optional[str], patience: float = 30.0) -> None:
        self._wire = Wire(url, token)
        self._patience = patience

    def close(self) -> None:
        """Closes its connections."""
        self._wire.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, kind: str, payload: Any = None, *, key: Optional[str] = None, **options: Any) -> "Task":
        """Submits a task.

        :param key: the idempotency key: the same key again is the same task. Without one, each call submits another task.
        :param options: other fields of a task, such as ``tier``, ``needs``, ``policy``, ``deadline``.
        """
        body = dict(options, kind=kind, payload=payload)
        answer = self._request("POST", "/v1/tasks", body, key=key or str(uuid.uuid4()))
        return Task(self, answer["task"])

    def task(self, id: str) -> "Task":
        """A task that was submitted before."""
        return Task(self, str(id))

    def define(self, document: Dict[str, Any]) -> List[str]:
        """Defines a workflow from a document of the definition language, as data. Returns what differs from an earlier
        definition of the same version, which a compatible one replaces."""
        return self._request("POST", "/v1/workflows", document)["changed"]

    def start(self, workflow: str, input: Any = None, *, key: Optional[str] = None, **options: Any) -> "Run":
        """Starts a run, or finds the one that was started with the same key.

        :param options: other fields of a run, such as ``version``, ``tier``, ``business_key``.
        """
        body = dict(options, workflow=workflow, input=input)
        answer = self._request("POST", "/v1/runs", body, key=key or str(uuid.uuid4()))
        return Run(self, answer["id"])

    def run(self, id: str) -> "Run":
        """A run that was started before."""
        return Run(self, str(id))

    def runs(self, *, workflow: Optional[str] = None, business_key: Optional[str] = None) -> Iterator[Dict[str, Any]]:
        """All runs, of a workflow or with a business key, as the server describes them."""
        after = None
        while True:
            asked = {"workflow": workflow, "business_key": business_key, "after": after}
            query = urlencode({name: value for name, value in asked.items() if value is not None})
            page = self._request("GET", f"/v1/runs?{query}" if query else "/v1/runs")
            yield from page["runs"]
            after = page["next"]
            if after is None:
                return

    def agents(self) -> List[Dict[str, Any]]:
        """The agents."""
        return self._request("GET", "/v1/agents")["agents"]

    def events(self, *, after: Optional[int] = None, **filters: str) -> Iterator[Dict[str, Any]]:
        """Events as they become durable, without an end. The stream continues where it was when the connection is lost.

        :param after: the sequence number after which the stream begins; without one it begins now.
        :param filters: ``family`` and one of ``task``, ``run``, ``agent``.
        """
        last = None if after is None else str(after)
        query = f"?{urlencode(filters)}" if filters else ""
        silent_since = None
        while True:
            try:
                headers = {} if last is None else {"Last-Event-ID": last}
                for field, value in _fields(self._wire.stream(f"/v1/events{query}", headers)):
                    silent_since = None
                    if field == "id":
                        last = value
                    elif field == "data":
                        yield json.loads(value)
            except Unavailable:
                silent_since = silent_since or time.monotonic()
                if time.monotonic() - silent_since > self._patience:
                    raise
            time.sleep(0.2)

    def _reports(self, path: str) -> Iterator[Dict[str, Any]]:
        for field, value in _fields(self._wire.stream(f"{path}/reports")):
            if field == "data":
                yield json.loads(value)

    def _request(self, method: str, path: str, body: Any = None, *, key: Optional[str] = None, wait: float = 0) -> Any:
        headers = {} if key is None else {"Idempotency-Key": key}
        end, delay = time.monotonic() + self._patience, 0.05
        while True:
            try:
                return self._wire.request(method, path, body, wait=wait, headers=headers)
            except Unavailable:
                if time.monotonic() + delay > end:
                    raise
            time.sleep(delay)
            delay = min(2.0, delay * 2)

    def _outcome(self, path: str, timeout: Optional[float]) -> Optional[Dict[str, Any]]:
        """The outcome of a task or run, or ``None`` after the time."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = WAIT if end is None else max(0.0, min(WAIT, end - time.monotonic()))
            state = self._request("GET", f"{path}?wait={int(left + 0.999)}" if left else path, wait=left)
            if state.get("outcome") is not None:
                return state["outcome"]
            if end is not None and time.monotonic() >= end:
                return None


class Task:
    """A task of the server.

    :ivar id: its id.
    """

    def __init__(self, client: Client, id: str) -> None:
        self._client = client
        self.id = id

    def state(self) -> Dict[str, Any]:
        """Its state, as the server describes it."""
        return self._client._request("GET", f"/v1/tasks/{self.id}")

    def result(self, timeout: Optional[float] = None) -> Any:
        """Waits for its end, and returns its output.

        :raises TaskFailed: if it has not succeeded.
        :raises TimeoutError: if it has not ended after ``timeout`` seconds.
        """
        outcome = self._client._outcome(f"/v1/tasks/{self.id}", timeout)
        return _output(f"task {self.id}", outcome, timeout, TaskFailed)

    def reports(self) -> Iterator[Dict[str, Any]]:
        """What its attempts report, until it ends: objects with the ``attempt``, the ``kind`` of the task, and ``progress`` (an
        object with ``share`` and perhaps ``text``) or ``chunk`` and its ``number``. The first ones are the last that were made
        before. They are not kept: a reader that is slow misses the oldest.

        :raises Unavailable: if the connection is lost.
        """
        return self._client._reports(f"/v1/tasks/{self.id}")

    def cancel(self, reason: str = "cancelled") -> None:
        """Cancels it."""
        self._client._request("DELETE", f"/v1/tasks/{self.id}?{urlencode({'reason': reason})}")


class Run:
    """A run of a workflow.

    :ivar id: its id.
    """

    def __init__(self, client: Client, id: str) -> None:
        self._client = client
        self.id = id

    def state(self) -> Dict[str, Any]:
        """Its state, as the server describes it."""
        return self._client._request("GET", f"/v1/runs/{self.id}")

    def result(self, timeout: Optional[float] = None) -> Any:
        """Waits for its end, and returns its output.

        :raises RunFailed: if it has not succeeded.
        :raises TimeoutError: if it has not ended after ``timeout`` seconds.
        """
        outcome = self._client._outcome(f"/v1/runs/{self.id}", timeout)
        return _output(f"run {self.id}", outcome, timeout, RunFailed)

    def signal(self, name: str, payload: Any = None) -> None:
        """Sends a signal to it. The request is not repeated, since a signal has no key: after :class:`Unavailable`, whether the
        run has received it is unknown."""
        self._client._wire.request("POST", f"/v1/runs/{self.id}/signals/{quote(name, safe='')}", payload, repeat=False)

    def reports(self) -> Iterator[Dict[str, Any]]:
        """What the attempts at its tasks report, until it ends: as :meth:`Task.reports`."""
        return self._client._reports(f"/v1/runs/{self.id}")

    def cancel(self, reason: str = "cancelled") -> None:
        """Cancels it; its completed steps are compensated."""
        self._client._request("DELETE", f"/v1/runs/{self.id}?{urlencode({'reason': reason})}")

    def events(self, after: int = 0) -> Iterator[Dict[str, Any]]:
        """Its events: those that the server still has, and then as they become durable."""
        return self._client.events(after=after, run=self.id)


def _output(what: str, outcome: Any, timeout: Optional[float], failed: Any) -> Any:
    if outcome is None:
        raise TimeoutError(f"{what} has not ended after {timeout} s")
    if "succeeded" not in outcome:
        raise failed(what, outcome)
    succeeded = outcome["succeeded"]
    # The outcome of a run has its output in a field; that of a task is its output.
    return succeeded.get("output") if failed is RunFailed and isinstance(succeeded, dict) else succeeded


def _failure(outcome: Any) -> Optional[Failure]:
    """The failure somewhere in an outcome."""
    if isinstance(outcome, dict):
        if "message" in outcome and "kind" in outcome:
            return Failure.of_wire(outcome)
        for value in outcome.values():
            found = _failure(value)
            if found is not None:
                return found
    return None


def _fields(lines: Iterator[bytes]) -> Iterator[tuple]:
    """The fields of server-sent events. Each event here has its data in one line, after its id."""
    for line in lines:
        if line and not line.startswith(b":"):
            field, _, value = line.partition(b":")
            yield field.decode(), value.decode().removeprefix(" ")
