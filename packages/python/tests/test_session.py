"""The messages of an agent, against a stand-in for the server."""

import asyncio
import logging
import threading
import unittest
from typing import Any, Callable, Dict, List

from counterpoint_agent import Agent, Attempt, Failure, GiveBack, Problem, Unavailable

BY = {"agent": "1", "number": "7"}


class StandIn(Agent):
    """An agent whose messages are answered by a function."""

    def __init__(self, answer: Callable[[str, Dict[str, Any]], list], **options: Any) -> None:
        super().__init__("http://127.0.0.1:1", token=None, id=1, **options)
        self.sent: List[Dict[str, Any]] = []
        self._answer = answer

    def _send(self, body: Dict[str, Any], wait: float = 0) -> list:
        self.sent.append(body)
        (name, content), = body.items()
        if name == "register":
            return [{"body": {"registered": {"by": BY, "heartbeat": "10ms"}}}]
        return [{"at": "0", "body": one} for one in self._answer(name, content)]

    def names(self) -> List[str]:
        return [next(iter(body)) for body in self.sent]


def assign(task: int, number: int = 1) -> Dict[str, Any]:
    return {"assign": {"attempt": {"task": str(task), "number": number}, "to": BY, "kind": "work", "payload": task}}


class Session(unittest.TestCase):
    def run_until(self, agent: Agent, done: threading.Event) -> None:
        thread = threading.Thread(target=agent.run)
        thread.start()
        self.assertTrue(done.wait(20))
        agent.stop()
        thread.join(20)
        self.assertFalse(thread.is_alive())

    def test_an_attempt_that_is_requested_back_is_given_back(self) -> None:
        done, given = threading.Event(), [assign(3)]

        def answer(name: str, content: Dict[str, Any]) -> list:
            if name == "give_back":
                done.set()
            if name == "poll" and content["most"] > 0 and given:
                return [given.pop()]
            if name == "poll" and content["most"] == 0:
                return [{"yield": {"from": BY, "attempt": {"task": "3", "number": 1}, "until": "0"}}]
            return []

        agent = StandIn(answer)

        @agent.task("work")
        def work(payload: int, attempt: Attempt) -> None:
            while not attempt.requested_back:
                attempt.wait_cancelled(0.005)
            raise GiveBack()

        self.run_until(agent, done)
        self.assertIn({"give_back": {"by": BY, "attempt": {"task": "3", "number": 1}}}, agent.sent)
        self.assertNotIn("result", agent.names())

    def test_an_assignment_that_is_repeated_is_performed_once(self) -> None:
        done, performed = threading.Event(), []

        def answer(name: str, content: Dict[str, Any]) -> list:
            if name == "result":
                done.set()
            return [assign(3), assign(3)] if name == "poll" and content["most"] > 0 and not done.is_set() else []

        agent = StandIn(answer, capacity=2)

        @agent.task("work")
        def work(payload: int, attempt: Attempt) -> int:
            performed.append(payload)
            attempt.wait_cancelled(0.05)
            return payload

        self.run_until(agent, done)
        self.assertEqual(performed, [3])

    def test_a_result_is_reported_until_it_is_received(self) -> None:
        done, given, tries = threading.Event(), [assign(3)], []

        def answer(name: str, content: Dict[str, Any]) -> list:
            if name == "result":
                tries.append(content["verdict"])
                if len(tries) == 1:
                    raise Unavailable("no answer")
                if len(tries) == 2:
                    raise Problem(429, "busy", "later", 0.01)
                if len(tries) == 3:
                    raise Problem(413, "too_large", "at most 1 MiB")
                done.set()
            return [given.pop()] if name == "poll" and content["most"] > 0 and given else []

        agent = StandIn(answer)
        agent.task("work")(lambda payload: "x" * 10)
        self.run_until(agent, done)
        self.assertEqual([next(iter(one)) for one in tries], ["succeeded"] * 3 + ["failed"])
        self.assertEqual(tries[-1]["failed"]["failure"]["code"], "invalid-output")

    def reported(self, agent: "StandIn") -> List[Any]:
        """The reports and the ends of attempts, in the order in which they were sent."""
        kinds = ("attempt_heartbeat", "progress", "emit", "result", "give_back")
        return [(kind, content) for body in agent.sent for kind, content in body.items() if kind in kinds]

    def test_reports_are_sent_before_the_result_and_the_last_ones_count(self) -> None:
        done, given, held = threading.Event(), [dict(assign(3))], threading.Event()
        given[0]["assign"].update(details={"page": 2}, heartbeat_timeout="1m 30s")

        def answer(name: str, content: Dict[str, Any]) -> list:
            if name == "attempt_heartbeat" and content.get("details") == 0:
                # While the first report is under way, the function goes on.
                self.assertTrue(held.wait(20))
            if name == "result":
                done.set()
            return [given.pop()] if name == "poll" and content["most"] > 0 and given else []

        agent = StandIn(answer)

        @agent.task("work")
        def work(payload: int, attempt: Attempt) -> Any:
            attempt.heartbeat(0)
            while ("attempt_heartbeat") not in agent.names():
                attempt.wait_cancelled(0.001)
            page = {"page": 3}
            for number in range(300):
                attempt.heartbeat(page)
                attempt.progress(number / 300, f"page {number}")
                attempt.emit(number)
            page["page"] = 99  # What was passed stays as it was.
            attempt.heartbeat()
            held.set()
            return [attempt.last_details, attempt.heartbeat_timeout]

        self.run_until(agent, done)
        about = {"by": BY, "attempt": {"task": "3", "number": 1}}
        reported = self.reported(agent)
        self.assertEqual(reported[0], ("attempt_heartbeat", dict(about, details=0)))
        self.assertEqual(reported[1], ("attempt_heartbeat", dict(about, details={"page": 3})))
        last = {"share": 299 / 300, "text": "page 299"}
        self.assertEqual(reported[2], ("progress", dict(about, progress=last)))
        # Of 300 parts the last 256 waited.
        self.assertEqual([content["chunk"] for kind, content in reported[3:-1]], list(range(44, 300)))
        self.assertEqual(reported[-1][1]["verdict"], {"succeeded": {"output": [{"page": 2}, 90.0]}})

    def test_a_rejected_report_fails_the_attempt_and_a_stale_one_cancels_it(self) -> None:
        for problem, ends in ((Problem(422, "too_large", "the details"), "invalid-report"),
                              (Problem(409, "stale_attempt", "ended"), "stopped")):
            done, given = threading.Event(), [assign(3)]

            def answer(name: str, content: Dict[str, Any]) -> list:
                if name == "attempt_heartbeat":
                    raise problem
                if name == "result":
                    done.set()
                return [given.pop()] if name == "poll" and content["most"] > 0 and given else []

            agent = StandIn(answer)

            @agent.task("work")
            def work(payload: int, attempt: Attempt) -> None:
                while not attempt.cancelled:
                    attempt.heartbeat("x" * 20)
                    attempt.wait_cancelled(0.001)
                raise Failure("stopped", code="stopped")

            with self.assertLogs("counterpoint"):
                logging.getLogger("counterpoint").warning("at least one line")
                self.run_until(agent, done)
            (verdict,) = self.results(agent)
            self.assertEqual(verdict["failed"]["failure"]["code"], ends)

    def test_mistakes_of_reports_are_errors_at_once(self) -> None:
        done, given, errors = threading.Event(), [assign(3)], []

        def answer(name: str, content: Dict[str, Any]) -> list:
            if name == "result":
                done.set()
            return [given.pop()] if name == "poll" and content["most"] > 0 and given else []

        agent = StandIn(answer)

        @agent.task("work")
        def work(payload: int, attempt: Attempt) -> None:
            mistakes = [lambda share=share: attempt.progress(share) for share in (-0.1, 1.1, float("nan"), True, "half")]
            mistakes += [lambda: attempt.progress(0.5, "x" * 1025), lambda: attempt.heartbeat({1, 2})]
            mistakes += [lambda: attempt.emit(float("inf")), lambda: attempt.emit(b"bytes")]
            for mistake in mistakes:
                try:
                    mistake()
                except (ValueError, TypeError) as error:
                    errors.append(str(error))

        self.run_until(agent, done)
        self.assertEqual(len(errors), 9, errors)
        self.assertEqual([kind for kind, _ in self.reported(agent)], ["result"])

    def test_a_heartbeat_that_takes_long_keeps_no_request_for_work(self) -> None:
        done, blocked, released, waited = threading.Event(), threading.Event(), threading.Event(), []

        def answer(name: str, content: Dict[str, Any]) -> list:
            if name == "heartbeat" and not done.is_set():
                blocked.set()
                waited.append(released.wait(5))
                done.set()
            if name == "poll" and blocked.is_set():
                released.set()
            return []

        agent = StandIn(answer)
        agent.task("work")(lambda payload: payload)
        self.run_until(agent, done)
        self.assertEqual(waited, [True])

    def results(self, agent: "StandIn") -> List[Dict[str, Any]]:
        return [body["result"]["verdict"] for body in agent.sent if "result" in body]

    def once(self, given: List[Dict[str, Any]], reject: Callable[[str, Dict[str, Any]], None]) -> Any:
        """Assigns work once, rejects some messages, and ends with the first result or return of the attempt that is accepted."""
        done, given = threading.Event(), list(given)

        def answer(name: str, content: Dict[str, Any]) -> list:
            reject(name, content)
            if name in ("result", "give_back"):
                done.set()
            if name == "poll" and content["most"] > 0 and given:
                found = list(given)
                given.clear()
                return found
            return []

        return done, answer

    def test_the_server_learns_of_the_end_of_an_attempt_whose_result_it_rejects(self) -> None:
        def reject(name: str, content: Dict[str, Any]) -> None:
            if name == "result" and "details" in content["verdict"]["failed"]["failure"]:
                raise Problem(400, "too_deep", "nested too deep")

        done, answer = self.once([assign(3)], reject)
        agent = StandIn(answer)

        @agent.task("work")
        def work(payload: int) -> None:
            raise Failure("broken", details=[[1]])

        self.run_until(agent, done)
        codes = [verdict["failed"]["failure"].get("code") for verdict in self.results(agent)]
        self.assertEqual(codes, [None, "invalid-output"])
        with self.assertRaises(ValueError):
            Failure("x", code="http 404")

    def test_a_failure_that_is_shown_is_whole(self) -> None:
        cause = {"kind": "overloaded", "message": "busy", "retry_after": "1m 30s 5ms"}
        path = [{"workflow": "order", "node": "charge", "instance": 2}]
        wire = {"kind": "permanent", "message": "no", "code": "card.no", "details": {"a": 1}, "path": path, "cause": cause}
        failure = Failure.of_wire(wire)
        self.assertEqual((failure.code, failure.details, failure.path), ("card.no", {"a": 1}, path))
        assert failure.cause is not None
        self.assertEqual((failure.cause.kind, failure.cause.retry_after, failure.cause.path), ("overloaded", 90.005, []))
        self.assertIsNone(failure.cause.cause)
        self.assertEqual(Failure.of_wire(failure.cause.to_wire()).retry_after, 90.005)

    def test_giving_back_without_a_request_is_a_failure(self) -> None:
        def reject(name: str, content: Dict[str, Any]) -> None:
            if name == "give_back":
                raise Problem(409, "not_requested_back", "the attempt was not requested back")

        done, answer = self.once([assign(3)], reject)
        agent = StandIn(answer)

        @agent.task("work")
        def work(payload: int) -> None:
            raise GiveBack()

        self.run_until(agent, done)
        failure = self.results(agent)[0]["failed"]["failure"]
        self.assertEqual((failure["kind"], failure["code"]), ("transient", "given-back"))

    def test_an_attempt_whose_acceptance_is_rejected_is_not_performed(self) -> None:
        def reject(name: str, content: Dict[str, Any]) -> None:
            if name == "accept" and content["attempt"]["task"] == "3":
                raise Problem(409, "stale_attempt", "the attempt has ended")

        done, answer = self.once([assign(3), assign(4)], reject)
        agent, performed = StandIn(answer, capacity=2), []
        agent.task("work")(lambda payload: performed.append(payload))
        self.run_until(agent, done)
        self.assertEqual(performed, [4])

    def test_an_attempt_that_is_cancelled_with_its_assignment_is_given_back(self) -> None:
        cancelled = {"cancel": {"from": BY, "attempt": {"task": "3", "number": 1}}}
        done, answer = self.once([cancelled, assign(3)], lambda name, content: None)
        agent, performed = StandIn(answer), []
        agent.task("work")(lambda payload: performed.append(payload))
        self.run_until(agent, done)
        self.assertEqual((performed, agent.names().count("give_back")), ([], 1))

    def test_a_server_that_is_busy_or_away_ends_no_session(self) -> None:
        errors = [Problem(503, "busy", "later", 0.01), Unavailable("away"), Problem(429, "busy", "later", 0.01)]

        def reject(name: str, content: Dict[str, Any]) -> None:
            if name in ("poll", "heartbeat") and errors:
                raise errors.pop()

        done, answer = self.once([assign(3)], reject)
        agent = StandIn(answer)
        agent.task("work")(lambda payload: payload)
        self.run_until(agent, done)
        self.assertEqual((errors, agent.names().count("register")), ([], 1))

    def test_the_grace_ends_also_while_functions_are_under_way(self) -> None:
        for is_async in (False, True):
            begun, release, cleaned = threading.Event(), threading.Event(), []
            done, answer = self.once([assign(3)], lambda name, content: None)
            agent = StandIn(answer, grace=0.1)

            def plain(payload: int) -> None:
                begun.set()
                release.wait(20)

            async def slow(payload: int) -> None:
                begun.set()
                try:
                    await asyncio.sleep(20)
                finally:
                    # Longer than the interval in which cancellations are looked for.
                    await asyncio.sleep(0.3)
                    cleaned.append(payload)

            agent.task("work")(slow if is_async else plain)
            self.run_until(agent, begun)
            release.set()
            self.assertEqual(cleaned, [3] if is_async else [])

    def test_a_function_that_ignores_its_end_holds_its_place_only(self) -> None:
        begun, release, given = [], threading.Event(), [assign(3)]
        done = threading.Event()

        def answer(name: str, content: Dict[str, Any]) -> list:
            if name == "poll" and content["most"] > 0:
                if begun and agent.names().count("register") < 2:
                    raise Problem(409, "stale_incarnation", "the incarnation has ended")
                self.assertEqual(content["most"], 2 - len(begun))
                if agent.names().count("register") == 2:
                    done.set()
                return [given.pop()] if given else []
            return []

        agent = StandIn(answer, capacity=2, grace=0.1)

        @agent.task("work")
        def work(payload: int) -> None:
            begun.append(payload)
            release.wait(20)

        self.run_until(agent, done)
        release.set()

    def test_a_session_that_the_server_has_ended_is_followed_by_another(self) -> None:
        done, begun = threading.Event(), []

        def answer(name: str, content: Dict[str, Any]) -> list:
            if name == "poll" and content["most"] > 0:
                begun.append(name)
                if len(begun) == 2:
                    done.set()
                raise Problem(409, "stale_incarnation", "the incarnation has ended")
            return []

        agent = StandIn(answer)
        agent.task("work")(lambda payload: payload)
        self.run_until(agent, done)
        self.assertGreaterEqual(agent.names().count("register"), 2)

    def test_the_attempts_of_a_session_that_has_ended_are_cancelled(self) -> None:
        done, given = threading.Event(), [assign(3)]
        begun, noticed = threading.Event(), []

        def answer(name: str, content: Dict[str, Any]) -> list:
            if name == "poll" and content["most"] > 0 and given:
                return [given.pop()]
            if name == "poll" and content["most"] == 0 and begun.is_set() and not noticed:
                raise Problem(409, "stale_incarnation", "the incarnation has ended")
            return []

        agent = StandIn(answer)

        @agent.task("work")
        def work(payload: int, attempt: Attempt) -> None:
            begun.set()
            noticed.append(attempt.wait_cancelled(20))
            done.set()

        self.run_until(agent, done)
        self.assertEqual(noticed, [True])


if __name__ == "__main__":
    unittest.main()
