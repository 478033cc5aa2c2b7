#!/usr/bin/env python3
"""An agent for http_host, on nothing but Python's standard library.

    worker.py URL TOKEN AGENT_ID LEDGER_FOLDER

Registers, says that it is alive, asks for work, does it, reports. A deed is a file in the ledger, made under the idempotency
key of its task: work that is asked for again, after a crash of either side, is the same deed.
"""

import json, os, sys, threading, time, urllib.error, urllib.request

url, token, agent, ledger = sys.argv[1:5]
count = 0


class Refused(Exception):
    pass


def say(body, wait=0):
    """Sends one message; gives back those that answer it."""
    global count
    count += 1
    message = {"v": 1, "id": f"{agent}-{os.getpid()}-{count}", "body": body}
    request = urllib.request.Request(f"{url}/v1/messages?wait={wait}", json.dumps(message).encode())
    request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=wait + 10) as answer:
            return [one["body"] for one in json.load(answer)]
    except urllib.error.HTTPError as error:
        answer = json.load(error)
        # A message that was read is answered by a message, any other request by a problem.
        raise Refused(error.code, answer[0]["body"]["rejected"] if isinstance(answer, list) else answer) from None


def beat(by, every, over):
    while not over.wait(every):
        try:
            say({"heartbeat": {"by": by}})
        except (OSError, Refused):
            return


def copy(by, given):
    """Long work: goes on from the details of the attempt before, and reports each page. Dies before page `dies`, the first time."""
    attempt, payload = given["attempt"], given["payload"]
    about = {"by": by, "attempt": attempt}
    done = given.get("details") or 0
    for page in range(done + 1, payload["pages"] + 1):
        if page == payload.get("dies") and attempt["number"] == 1:
            os._exit(1)
        say({"attempt_heartbeat": {**about, "details": page}})
        say({"progress": {**about, "progress": {"share": page / payload["pages"], "text": f"page {page}"}}})
        say({"emit": {**about, "chunk": f"text of page {page}"}})
    return {"succeeded": {"output": {"from": done, "pages": payload["pages"]}}}


def work(key, payload):
    """Does the deed once, however often it is asked for."""
    time.sleep(payload.get("takes", 0))
    if payload.get("impossible"):
        return {"failed": {"failure": {"kind": "permanent", "message": "that cannot be done"}}}
    try:
        with open(os.path.join(ledger, key), "x") as deed:
            deed.write(agent)
    except FileExistsError:
        pass
    verdict = {"output": {"squared": payload["number"] ** 2}}
    if "tokens" in payload:  # what the deed has used counts against the budget of its run
        verdict["usage"] = {"tokens": payload["tokens"]}
    return {"succeeded": verdict}


def live():
    """One incarnation: from the registration until the host ends it."""
    card = {"id": agent, "name": f"worker {agent}", "skills": {"square": 1}, "capacity": 1, "lease": "1s"}
    by = say({"register": {"agent": card}})[0]["registered"]["by"]
    over = threading.Event()
    threading.Thread(target=beat, args=(by, 0.3, over), daemon=True).start()
    try:
        while True:
            for told in say({"poll": {"by": by, "most": 1}}, wait=20):
                if "assign" in told:
                    given = told["assign"]
                    say({"accept": {"by": by, "attempt": given["attempt"]}})
                    verdict = copy(by, given) if "pages" in given["payload"] else work(given["key"], given["payload"])
                    say({"result": {"by": by, "attempt": given["attempt"], "verdict": verdict}})
    finally:
        over.set()


while True:
    try:
        live()
    except Refused as refused:
        print(agent, *refused.args, file=sys.stderr)
        if refused.args[0] in (401, 403):
            sys.exit(1)
    except OSError:
        time.sleep(0.05)  # The host is away: it will be back.
