"""The messages of an agent, against a stand-in for the server."""

import asyncio
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
