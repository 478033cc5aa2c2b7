"""A stand-in for a language model: reads a task as JSON, answers with JSON. It needs no network and no key."""

import json
import os
import sys
import time


def plan(task):
    words = [word.strip("?.,").lower() for word in task["question"].split() if len(word) > 3]
    return {"topics": words[:4] or ["everything"]}


def research(task):
    # The first attempt at one of the topics meets a rate limit, as it happens.
    if task["topic"] == "green" and os.environ["COUNTERPOINT_ATTEMPT"] == "1":
        print("rate limit", file=sys.stderr)
        sys.exit(75)
    return {"topic": task["topic"], "note": f"What is known about {task['topic']}."}


def write(task):
    notes = [note for note in task["notes"] if note]
    lines = [f"# {task['question']}", "", f"For {task['audience']}.", ""]
    return {"report": "\n".join(lines + [f"- {note['note']}" for note in notes]) + "\n"}


task = json.load(sys.stdin)
time.sleep(float(os.environ.get("MODEL_PAUSE", "0")))
with open("calls.log", "a") as log:
    log.write(f"{os.environ['COUNTERPOINT_IDEMPOTENCY_KEY']} {task['role']} {task.get('topic', '')}\n")
print(json.dumps({"plan": plan, "research": research, "write": write}[task["role"]](task)))
