"""Reports of attempts under way, on their way to the server: heartbeats with details, progress, and parts of the output."""

from __future__ import annotations

import collections
import logging
import random
import threading
from typing import Any, Callable, Deque, Dict, List, Optional

from .wire import Problem, Unavailable

log = logging.getLogger("counterpoint")

#: The number of parts of an output that may wait. Beyond it the oldest ones are dropped.
WAITING = 256


class Pending:
    """What waits of one attempt: the last heartbeat and the last progress, and the last parts of the output."""

    def __init__(self) -> None:
        self.heartbeat: Optional[Dict[str, Any]] = None
        self.progress: Optional[Dict[str, Any]] = None
        self.parts: Deque[Dict[str, Any]] = collections.deque(maxlen=WAITING)

    def add(self, kind: str, body: Dict[str, Any]) -> None:
        if kind == "emit":
            self.parts.append(body)
        elif kind == "progress":
            self.progress = body
        elif self.heartbeat is None or "details" in body:
            # A heartbeat without details does not replace details that wait.
            self.heartbeat = body

    def bodies(self) -> List[Dict[str, Any]]:
        """The messages, in the order in which they are sent."""
        named = [("attempt_heartbeat", self.heartbeat), ("progress", self.progress)]
        return [{kind: body} for kind, body in named if body is not None] + [{"emit": body} for body in self.parts]


class Reports:
    """Sends the reports of the attempts of a session, one after the other. A function that reports never waits."""

    def __init__(self, send: Callable[[Dict[str, Any]], Any], over: threading.Event) -> None:
        self._send, self._over = send, over
        self._waiting: Dict[str, Pending] = {}
        self._sending: Optional[str] = None
        self._changed = threading.Condition()

    def add(self, name: str, kind: str, body: Dict[str, Any]) -> None:
        """Puts a report on its way."""
        with self._changed:
            self._waiting.setdefault(name, Pending()).add(kind, body)
            self._changed.notify_all()

    def work(self, rejected: Callable[[str, Problem], None]) -> None:
        """Sends reports until the session is over. ``rejected`` gets the rejections."""
        while not self._over.is_set():
            with self._changed:
                while not self._waiting and not self._over.is_set():
                    self._changed.wait(0.5)
                if self._over.is_set():
                    return
                name = next(iter(self._waiting))
                pending, self._sending = self._waiting.pop(name), name
            try:
                self._deliver(name, pending, rejected)
            finally:
                with self._changed:
                    self._sending = None
                    self._changed.notify_all()

    def finish(self, name: str, rejected: Callable[[str, Problem], None]) -> None:
        """Sends what waits of an attempt before its result."""
        with self._changed:
            while self._sending == name and not self._over.is_set():
                self._changed.wait(0.5)
            pending = self._waiting.pop(name, None)
        if pending is not None:
            self._deliver(name, pending, rejected)

    def wake(self) -> None:
        """Lets :meth:`work` return after the end of the session."""
        with self._changed:
            self._changed.notify_all()

    def _deliver(self, name: str, pending: Pending, rejected: Callable[[str, Problem], None]) -> None:
        for body in pending.bodies():
            if self._over.is_set() or not self._deliver_one(name, body, rejected):
                return

    def _deliver_one(self, name: str, body: Dict[str, Any], rejected: Callable[[str, Problem], None]) -> bool:
        """Sends a report, a few times if the server is away or busy. Returns whether the next one is to be sent."""
        for _ in range(3):
            try:
                self._send(body)
                return True
            except Unavailable as error:
                log.debug("%s", error)
                wait = random.uniform(0.1, 0.3)
            except Problem as problem:
                if problem.status not in (408, 429) and problem.status < 500:
                    rejected(name, problem)
                    return False
                wait = problem.retry_after or random.uniform(0.1, 0.3)
            self._over.wait(wait)
        return False
