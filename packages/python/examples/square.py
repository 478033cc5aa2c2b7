"""An agent in 20 lines: python3 square.py URL TOKEN AGENT_ID"""

import sys

from counterpoint_agent import Agent, Attempt, Failure

url, token, id = sys.argv[1:4]
agent = Agent(url, token=token, id=int(id), name=f"python {id}", capacity=2, lease=5)


@agent.task("square")
def square(payload: dict, attempt: Attempt) -> dict:
    attempt.wait_cancelled(payload.get("takes", 0))
    attempt.raise_if_cancelled()
    if payload["number"] < 0:
        raise Failure("negative numbers are not squared here", kind="permanent", code="negative")
    return {"squared": payload["number"] ** 2}


agent.run()
