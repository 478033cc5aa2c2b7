"""An agent: it registers, asks for work, performs it, and reports."""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import inspect
import logging
import os
import random
import signal
import threading
import time
import traceback
from typing import Any, Callable, Deque, Dict, Optional

from . import typed
from .attempt import Attempt, Cancelled, GiveBack, span
from .failure import Failure
from .reports import Reports
from .wire import AccessDenied, Problem, Unavailable, Wire

log = logging.getLogger("counterpoint")

#: How long a request for work is held open, in seconds.
POLL = 20.0
#: The longest delay before the agent connects again, in seconds.
BACKOFF = 5.0
#: The codes of rejections after which an attempt or its session has ended.
ENDED = ("stale_attempt", "stale_incarnation", "not_holder")


class Agent:
    """An agent of a server.

    :param url: the server, such as ``"http://127.0.0.1:8080"``.
    :param token: a token whose roles permit to be this agent.
    :param id: the id of the agent, a number below 2^64. Only one process at a time uses it: a second one that registers
        takes its place.
    :param name: a name for people.
    :param capacity: the number of tasks at a time.
    :param lease: the time in seconds after which the server takes the agent for lost and gives its tasks to others, if it
        receives no message from it.
    :param labels: labels that tasks may require, such as ``{"region": "north"}``.
    :param grace: how long :meth:`stop` and a signal that ends the process wait for tasks under way, in seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Optional[str],
        id: int,
        name: Optional[str] = None,
        capacity: int = 1,
        lease: float = 15.0,
        labels: Optional[Dict[str, str]] = None,
        grace: float = 30.0,
    ) -> None:
        if capacity < 1:
            raise ValueError("capacity: expected at least 1")
        self._wire = Wire(url, token)
        self._card: Dict[str, Any] = {"id": str(id), "capacity": capacity, "lease": round(lease * 1e9)}
        if name is not None:
            self._card["name"] = name
        if labels:
            self._card["labels"] = labels
        self._capacity = capacity
        self._grace = grace
        self._functions: Dict[str, _Function] = {}
        self._skills: Dict[str, int] = {}
        self._stop = threading.Event()
        self._count = 0
        self._lock = threading.Lock()
        # The functions that have not returned, of all sessions, and a signal when one has.
        self._working = 0
        self._changed = threading.Condition()

    def task(self, kind: str, *, level: int = 1) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declares a function, plain or async, that performs tasks of a kind.

        The function gets the payload and, if it has a second parameter, the :class:`Attempt`. A payload whose parameter is
        annotated with a dataclass is converted to it. The function returns the output: data as JSON, or a dataclass. It
        fails by raising :class:`Failure`; any other exception is a transient failure with the code ``exception``.

        :param level: the skill for this kind. Of agents with different skills, those with more are preferred.
        """

        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            if kind in self._functions:
                raise ValueError(f"{kind!r} is performed by {self._functions[kind].function.__name__} already")
            self._functions[kind] = _Function(function)
            self._skills[kind] = level
            return function

        return declare

    def run(self) -> None:
        """Performs tasks until the process gets SIGINT or SIGTERM, or :meth:`stop` is called. If the server cannot be
        reached, the agent tries again.

        :raises AccessDenied: if the server does not accept the token.
        :raises Problem: if the server rejects the registration.
        """
        if not self._functions:
            raise ValueError("the agent performs nothing: declare functions with @agent.task(KIND)")
        restore = self._handle_signals()
        loop = _Loop() if any(function.is_async for function in self._functions.values()) else None
        delay = 0.0
        try:
            while not self._stop.is_set():
                session = _Session(self, loop)
                try:
                    session.perform()
                    delay = 0.0
                except AccessDenied:
                    raise
                except Problem as problem:
                    if problem.status < 500 and problem.status != 429 and not session.registered:
                        raise
                    log.warning("the session has ended: %s", problem)
                except Unavailable as error:
                    log.warning("%s", error)
                finally:
                    session.end()
                if session.registered:
                    delay = 0.0
                delay = min(BACKOFF, max(0.1, delay * 2))
                self._stop.wait(delay * random.uniform(0.5, 1.0))
        finally:
            restore()
            if loop is not None:
                loop.close()
            self._wire.close()

    def stop(self) -> None:
        """Lets :meth:`run` return when the tasks under way are done, at the latest after the ``grace``."""
        self._stop.set()

    def _handle_signals(self) -> Callable[[], None]:
        if threading.current_thread() is not threading.main_thread():
            return lambda: None
        before = {number: signal.signal(number, lambda *_: self.stop()) for number in (signal.SIGINT, signal.SIGTERM)}

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        return restore

    def _send(self, body: Dict[str, Any], wait: float = 0) -> list:
        with self._lock:
            self._count += 1
            number = self._count
        message = {"v": 1, "id": f"{self._card['id']}-{os.getpid()}-{number}", "body": body}
        path = f"/v1/messages?wait={int(wait)}" if wait else "/v1/messages"
        return self._wire.request("POST", path, message, wait=wait) or []


class _Function:
    """A function that performs tasks of a kind."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.is_async = inspect.iscoroutinefunction(function)
        self._payload, self._parameters = typed.parameters(function)

    def arguments(self, attempt: Attempt) -> list:
        payload = typed.read(attempt.payload, self._payload)
        return [payload, attempt][: self._parameters]


class _Loop:
    """An event loop in a thread of its own, for async functions."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="counterpoint-async", daemon=True)
        self._thread.start()

    def run(self, coroutine: Any, attempt: Attempt) -> Any:
        """Runs a coroutine to its end, or cancels it when its attempt is cancelled."""

        async def guarded() -> Any:
            task = asyncio.ensure_future(coroutine)
            asked = False
            while True:
                done, _ = await asyncio.wait({task}, timeout=0.1)
                if done:
                    try:
                        return task.result()
                    except asyncio.CancelledError:
                        raise Cancelled() from None
                if attempt.cancelled and not asked:
                    # Once: what the function does at its end may take time.
                    asked = True
                    task.cancel()

        try:
            return asyncio.run_coroutine_threadsafe(guarded(), self._loop).result()
        except concurrent.futures.CancelledError:  # The loop is closed.
            raise Cancelled() from None

    def close(self) -> None:
        """Cancels what is under way, gives it a second to end, and stops the loop."""

        async def end() -> None:
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            if others:
                await asyncio.wait(others, timeout=1.0)

        try:
            asyncio.run_coroutine_threadsafe(end(), self._loop).result(2.0)
        except Exception:  # The loop is blocked by a function that does not await.
            log.debug("the event loop did not end", exc_info=True)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(1.0)
        if not self._thread.is_alive():
            self._loop.close()


class _Session:
    """One incarnation of an agent: from its registration until the server or the agent ends it."""

    def __init__(self, agent: Agent, loop: Optional[_Loop]) -> None:
        self._agent, self._loop = agent, loop
        self._by: Dict[str, Any] = {}
        self._over = threading.Event()
        self._why: Optional[Exception] = None
        self._running: Dict[str, Attempt] = {}
        # The last attempts that have ended: an answer that was under way meanwhile may assign one of them again.
        self._ended: Deque[str] = collections.deque(maxlen=1000)
        self._changed = agent._changed
        # Held by whoever decides for how many attempts the agent asks: a later request replaces an earlier one.
        self._asking = threading.Lock()
        self._is_polling = False
        self._reports = Reports(lambda body: self._take(agent._send(body)), self._over)

    @property
    def registered(self) -> bool:
        return bool(self._by)

    def perform(self) -> None:
        """Registers, and performs tasks until the session is over or the agent is asked to stop."""
        card = dict(self._agent._card, skills=self._agent._skills)
        answer = self._agent._send({"register": {"agent": card}})
        registered = answer[0]["body"]["registered"]
        self._by = registered["by"]
        beat = span(registered.get("heartbeat")) or 5.0
        log.info("registered as agent %s", self._by["agent"])
        for work in (self._poll, lambda: self._beat(beat), lambda: self._reports.work(self._refused)):
            threading.Thread(target=self._guarded, args=(work,), daemon=True).start()
        # Short waits, so that signals are handled in time.
        while not self._over.wait(0.2):
            if self._agent._stop.is_set():
                self._drain()
                return
        if self._why is not None:
            raise self._why

    def end(self) -> None:
        """Ends the session. The results of attempts under way would be rejected from now on."""
        self._over.set()
        with self._changed:
            attempts = list(self._running.values())
            self._changed.notify_all()
        self._reports.wake()
        for attempt in attempts:
            attempt._cancelled.set()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # Every error ends the session, whose thread raises it.
            if not self._over.is_set():
                self._why = error
                self._over.set()
                with self._changed:
                    self._changed.notify_all()

    def _drain(self) -> None:
        """Takes no further attempts, and waits for those under way."""
        try:
            self._take(self._agent._send({"poll": {"by": self._by, "most": 0}}))
        except (Problem, OSError) as error:
            log.info("at the end: %s", error)
        end = time.monotonic() + self._agent._grace
        with self._changed:
            while self._running and not self._over.is_set() and time.monotonic() < end:
                self._changed.wait(0.2)

    def _has_room(self) -> bool:
        return self._agent._working < self._agent._capacity

    def _beat(self, every: float) -> None:
        while not self._over.wait(every):
            messages = self._fetch()
            if messages is None:
                messages = self._patiently({"heartbeat": {"by": self._by}})
            self._take(messages)

    def _fetch(self) -> Optional[list]:
        """The cancellations for a full agent; ``None`` if the agent asks for work, and gets them with it. Only this request
        says for how many attempts the agent asks, so only this one must not overtake another such request."""
        with self._asking:
            with self._changed:
                if self._is_polling or self._has_room():
                    return None
            return self._patiently({"poll": {"by": self._by, "most": 0}})

    def _poll(self) -> None:
        while not self._over.is_set() and not self._agent._stop.is_set():
            with self._changed:
                while not self._has_room() and not self._over.is_set():
                    self._changed.wait(0.5)
            with self._asking:
                with self._changed:
                    free = self._agent._capacity - self._agent._working
                self._is_polling = free > 0
            if free > 0 and not self._over.is_set() and not self._agent._stop.is_set():
                messages = self._patiently({"poll": {"by": self._by, "most": free}}, wait=POLL)
                self._is_polling = False
                self._take(messages)

    def _patiently(self, body: Dict[str, Any], wait: float = 0) -> list:
        """Sends a message once; no answers if the server is away or busy. Raises what ends the session."""
        try:
            return self._agent._send(body, wait=wait)
        except Unavailable as error:
            log.debug("%s", error)
            self._over.wait(random.uniform(0.1, 0.3))
        except Problem as problem:
            if not _is_passing(problem):
                raise
            self._over.wait(problem.retry_after or random.uniform(0.1, 0.3))
        return []

    def _take(self, messages: list) -> None:
        # A cancellation may arrive together with its assignment.
        told = {"cancel": set(), "yield": set()}
        for message in messages:
            for kind in told:
                if kind in message["body"]:
                    told[kind].add(_name(message["body"][kind]["attempt"]))
        for message in messages:
            body = message["body"]
            ahead = time.monotonic() - int(message["at"]) / 1e9 if "at" in message else 0.0
            given = [body["assign"]] if "assign" in body else body.get("assign_batch", {}).get("attempts", [])
            for one in given:
                self._begin(one, ahead, _name(one["attempt"]) in told["cancel"])
        with self._changed:
            attempts = [(kind, self._running.get(name)) for kind, names in told.items() for name in names]
        for kind, attempt in attempts:
            if attempt is not None:
                (attempt._cancelled if kind == "cancel" else attempt._requested_back).set()

    def _begin(self, given: Dict[str, Any], ahead: float, is_cancelled: bool) -> None:
        name = _name(given["attempt"])
        with self._changed:
            # An assignment is repeated until it is accepted.
            if self._over.is_set() or name in self._running or name in self._ended:
                return
            attempt = Attempt(self, given, ahead)
            self._running[name] = attempt
            self._agent._working += 1
        # Not one of a pool: a function that does not return must keep neither the next one nor the process from its end.
        threading.Thread(target=self._run, args=(name, attempt, is_cancelled), daemon=True).start()

    def _run(self, name: str, attempt: Attempt, is_cancelled: bool) -> None:
        about = {"by": self._by, "attempt": attempt.id}
        try:
            if is_cancelled:
                self._report({"give_back": about}, about)
            elif self._report({"accept": about}, about):
                self._perform(attempt, about)
        except Exception:  # Whatever happens, there is room again.
            log.exception("attempt %s", name)
        finally:
            with self._changed:
                self._running.pop(name, None)
                self._ended.append(name)
                self._agent._working -= 1
                self._changed.notify_all()

    def _perform(self, attempt: Attempt, about: Dict[str, Any]) -> None:
        if self._over.is_set():
            return
        verdict = self._verdict(attempt)
        # The details that were reported last are to reach the next attempt.
        self._reports.finish(_name(attempt.id), self._refused)
        body = {"give_back": about} if verdict is None else {"result": dict(about, verdict=verdict)}
        self._report(body, about)

    def _verdict(self, attempt: Attempt) -> Optional[Dict[str, Any]]:
        """Performs an attempt; ``None`` if it is given back."""
        try:
            output = self._call(attempt)
            verdict: Dict[str, Any] = {"succeeded": {"output": output}}
        except GiveBack:
            return None
        except Cancelled:
            verdict = _failed(Failure("the attempt was cancelled", kind="unknown", code="cancelled"))
        except Failure as failure:
            verdict = _failed(failure)
        except Exception as error:
            log.warning("a task of kind %s has failed", attempt.kind, exc_info=True)
            last = traceback.format_exc(limit=-5)
            text = f"{type(error).__name__}: {error}"
            verdict = _failed(Failure(text, code="exception", details={"traceback": last[-4000:]}))
        used = attempt._used()
        if used:
            next(iter(verdict.values()))["usage"] = used
        return verdict

    def _call(self, attempt: Attempt) -> Any:
        function = self._agent._functions.get(attempt.kind)
        if function is None:
            raise Failure(f"the agent has no function for {attempt.kind!r}", kind="permanent", code="no-function")
        try:
            arguments = function.arguments(attempt)
        except typed.Unfit as error:
            raise Failure(str(error), kind="permanent", code="invalid-input") from None
        if function.is_async and self._loop is not None:
            return typed.write(self._loop.run(function.function(*arguments), attempt))
        return typed.write(function.function(*arguments))

    def _refused(self, name: str, problem: Problem) -> None:
        """The server has rejected a report of an attempt."""
        with self._changed:
            attempt = self._running.get(name)
        if attempt is None:
            return
        if problem.code in ENDED:
            attempt._cancelled.set()
        else:
            log.warning("a report of attempt %s was rejected: %s", name, problem)
            attempt._rejected = problem

    def _report(self, body: Dict[str, Any], about: Dict[str, Any]) -> bool:
        """Sends a message about an attempt until the server has received it; returns whether it has, and wants more."""
        delay, reduced = 0.05, False
        while not self._over.is_set():
            try:
                self._take(self._agent._send(body))
                return not reduced
            except Unavailable:
                self._over.wait(delay)
                delay = min(BACKOFF, delay * 2)
                continue
            except (ValueError, TypeError, RecursionError) as error:
                why = f"the result is not JSON: {error}"
            except Problem as problem:
                if _is_passing(problem):
                    self._over.wait(problem.retry_after or delay)
                    delay = min(BACKOFF, delay * 2)
                    continue
                if problem.status in (401, 403, 404) or problem.code in ENDED or "accept" in body or reduced:
                    # The attempt has ended: it was cancelled, timed out, or belongs to another agent now.
                    log.info("a message about an attempt was rejected: %s", problem)
                    return False
                why = f"the result was rejected: {problem.detail}"
            # The server has to learn that the attempt has ended: with as little as possible that it could reject.
            kind, code = ("transient", "given-back") if "give_back" in body else ("permanent", "invalid-output")
            failure = Failure(why[:500], kind=kind, code=code)
            body, reduced = {"result": dict(about, verdict=_failed(failure))}, True
        return False


def _is_passing(problem: Problem) -> bool:
    """Whether the same request may be accepted later."""
    return problem.status in (408, 429) or problem.status >= 500


def _failed(failure: Failure) -> Dict[str, Any]:
    return {"failed": {"failure": failure.to_wire()}}


def _name(attempt: Dict[str, Any]) -> str:
    return f"{attempt['task']}.{attempt['number']}"
