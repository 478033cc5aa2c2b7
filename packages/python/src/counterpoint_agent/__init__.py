"""Agents and clients of a Counterpoint server.

An agent performs tasks of the kinds that it has functions for::

    from counterpoint_agent import Agent

    agent = Agent("http://127.0.0.1:8080", token="t-7", id=7)

    @agent.task("square")
    def square(payload):
        return {"squared": payload["number"] ** 2}

    agent.run()

A client submits tasks and starts runs::

    from counterpoint_agent import Client

    client = Client("http://127.0.0.1:8080", token="t-ada")
    task = client.submit("square", {"number": 12}, key="order-17")
    print(task.result(timeout=60))
"""

from .agent import Agent
from .attempt import Attempt, Cancelled, GiveBack
from .client import Client, Run, Task, TaskFailed, RunFailed
from .failure import Failure
from .wire import AccessDenied, Problem, Unavailable

__all__ = [
    "AccessDenied",
    "Agent",
    "Attempt",
    "Cancelled",
    "Client",
    "Failure",
    "GiveBack",
    "Problem",
    "Run",
    "RunFailed",
    "Task",
    "TaskFailed",
    "Unavailable",
]
