"""Payloads as declared types."""

import dataclasses
import unittest
from typing import Any, Dict, List, Optional

from counterpoint_agent import typed
from counterpoint_agent.agent import Agent
from counterpoint_agent.attempt import span
from counterpoint_agent.failure import Failure


@dataclasses.dataclass
class Page:
    number: int
    words: List[str]
    scale: float = 1.0


@dataclasses.dataclass
class Book:
    pages: List[Page]
    notes: Dict[str, Page]
    title: Optional[str] = None


class Typed(unittest.TestCase):
    def test_values_become_declared_types(self) -> None:
        value = {"pages": [{"number": 1, "words": ["a"]}], "notes": {"x": {"number": 2, "words": [], "scale": 2}}}
        book = typed.read(value, Book)
        self.assertEqual(book, Book([Page(1, ["a"])], {"x": Page(2, [], 2.0)}))
        self.assertEqual(typed.write(book)["pages"], [{"number": 1, "words": ["a"], "scale": 1.0}])
        self.assertEqual(typed.read(None, Optional[Page]), None)
        self.assertEqual(typed.read({"any": 1}, Any), {"any": 1})

    def test_values_of_other_types_are_errors_with_their_place(self) -> None:
        cases = [
            ({"pages": 1, "notes": {}}, "payload.pages is int, expected list"),
            ({"pages": [{"number": "1", "words": []}], "notes": {}}, "payload.pages[0].number is str, expected int"),
            ({"pages": [{"number": True, "words": []}], "notes": {}}, "payload.pages[0].number is bool, expected int"),
            ({"pages": [{"words": []}], "notes": {}}, "payload.pages[0] lacks the field `number`"),
            ({"pages": [], "notes": {}, "titel": "x"}, "payload has no field `titel`: expected pages, notes, title"),
            ([], "payload is list, expected dict"),
        ]
        for value, text in cases:
            with self.assertRaises(typed.Unfit) as raised:
                typed.read(value, Book)
            self.assertEqual(str(raised.exception), text)

    def test_functions_have_one_or_two_parameters(self) -> None:
        self.assertEqual(typed.parameters(lambda payload: payload)[1], 1)
        self.assertEqual(typed.parameters(lambda payload, attempt: payload)[1], 2)
        with self.assertRaises(TypeError):
            typed.parameters(lambda: 1)

    def test_mistakes_of_declarations_are_errors(self) -> None:
        agent = Agent("http://127.0.0.1:1", token=None, id=1)
        agent.task("a")(lambda payload: payload)
        with self.assertRaisesRegex(ValueError, "performed by"):
            agent.task("a")(lambda payload: payload)
        with self.assertRaisesRegex(ValueError, "performs nothing"):
            Agent("http://127.0.0.1:1", token=None, id=1).run()
        with self.assertRaisesRegex(ValueError, "is no URL"):
            Agent("127.0.0.1:1", token=None, id=1)
        with self.assertRaisesRegex(ValueError, "no kind of failure"):
            Failure("x", kind="fatal")

    def test_durations_of_the_server(self) -> None:
        for text, seconds in [("1m 30s", 90.0), ("333ms", 0.333), (5_000_000_000, 5.0), ("1day 2h", 93_600.0)]:
            self.assertAlmostEqual(span(text), seconds)


if __name__ == "__main__":
    unittest.main()
