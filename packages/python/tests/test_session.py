"""The messages of an agent, against a stand-in for the server."""

import threading
import unittest
from typing import Any, Callable, Dict, List

from counterpoint_agent import Agent, Attempt, GiveBack, Problem, Unavailable

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
