"""What a client sees that this project did not write: the protocol's Python SDK, over both transports."""

import asyncio, json, os, subprocess, sys, tempfile
from typing import Any, Literal

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.extension import ClientExtension, ResultClaim
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, Request, RequestParams, Result

binary = sys.argv[1]
folder = tempfile.mkdtemp()
tokens = os.path.join(folder, "tokens.json")
json.dump(
    [
        {"token": "t-ada", "name": "ada", "roles": ["submitter"]},
        {"token": "t-7", "name": "agent 7", "roles": ["agent"], "agents": [7]},
        {"token": "t-8", "name": "agent 8", "roles": ["agent"], "agents": [8]},
        {"token": "t-ops", "name": "grace", "roles": ["operator", "agent"], "agents": [1]},
    ],
    open(tokens, "w"),
)
TOOLS = {
    "distribute_task", "handle_task_response", "register_agent", "unregister_agent", "update_agent_status",
    "decompose_goal", "assign_tasks", "get_status", "start_workflow", "signal_workflow", "decide_workflow",
}


class TaskHandle(Result):
    result_type: Literal["task"]
    task_id: str
    poll_interval_ms: int


class TaskState(Result):
    status: str
    result: dict[str, Any] | None = None


class TaskParams(RequestParams):
    task_id: str


class GetTask(Request[TaskParams, Literal["tasks/get"]]):
    name_param = "taskId"
    method: Literal["tasks/get"] = "tasks/get"


class Tasks(ClientExtension):
    """The tasks of the protocol: `call_tool` asks until there is a result. The SDK leaves that to whoever needs it."""

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self):
        self.states = []

    def claims(self):
        return [ResultClaim(result_type="task", model=TaskHandle, resolve=self.follow)]

    async def follow(self, handle, context):
        while True:
            request = GetTask(params=TaskParams(task_id=handle.task_id))
            now = await context.session.send_request(request, TaskState)
            self.states.append((handle.task_id, now.status))
            if now.status != "working":
                assert now.status == "completed", now
                return CallToolResult.model_validate(now.result)
            await asyncio.sleep(handle.poll_interval_ms / 10_000)


async def call(client, tool, code=None, progress=None, **arguments):
    """Calls a tool; its data, or with `code` the refusal that is expected."""
    result = await client.call_tool(tool, arguments, progress_callback=progress)
    data = result.structured_content
    assert json.loads(result.content[0].text) == data
    if code is None:
        assert not result.is_error, data
        return data
    assert result.is_error and data["code"] == code, data
    return data["reason"]


async def read(client, uri):
    contents = (await client.read_resource(uri)).contents[0]
    assert contents.mime_type == "application/json" and contents.uri == uri
    return json.loads(contents.text)


async def work(client, agent, incarnation, rounds, does):
    """An agent: asks for its work, does it, answers."""
    for _ in range(rounds):
        now = await call(client, "get_status", agent=agent, wait_seconds=20)
        for given in now["work"]:
            verdict = does(given)
            await call(client, "handle_task_response", agent=agent, incarnation=incarnation, task=given["task"], attempt=given["attempt"], **verdict)


async def on_stdio():
    """One connection, for somebody who may do all but submit as another."""
    server = StdioServerParameters(command=binary, args=["--tokens", tokens, "--journal", os.path.join(folder, "journal")], env={"COUNTERPOINT_TOKEN": "t-ops"})
    async with Client(server) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS
        for tool in (await client.list_tools()).tools:
            assert tool.description and tool.input_schema["type"] == "object", tool
        assert {str(one.uri) for one in (await client.list_resources()).resources} == {
            "counterpoint://agents", "counterpoint://workflows", "counterpoint://runs", "counterpoint://events"}
        assert len((await client.list_resource_templates()).resource_templates) == 2

        incarnation = (await call(client, "register_agent", agent="1", name="one", skills={"fetch": 1, "write": 2}))["incarnation"]
        # A goal by rules, and one that the caller has thought of; what is wrong with either is told.
        rules = [{"name": "report", "words": [["report"]], "steps": [{"name": "fetch"}, {"name": "write"}]}]
        made = await call(client, "decompose_goal", goal="a report on tea", name="report", about={"topic": "tea"}, rules=rules)
        assert made["nodes"] == [{"name": "fetch", "after": []}, {"name": "write", "after": ["fetch"]}], made
        document = {"name": "x", "tasks": [{"id": "fetch"}, {"id": "ok", "wait": {"signal": "ok"}, "depends_on": ["fetch"]}]}
        await call(client, "decompose_goal", goal="wait", name="waits", document=document)
        reason = await call(client, "decompose_goal", "no_workflow", goal="fly", name="fly", document={"name": "x", "tasks": [{"id": "fly"}]})
        assert "fly" in reason, reason
        broken = {"name": "x", "tasks": [{"id": "fetch", "depends_on": ["fetsh"]}]}
        assert "did you mean" in await call(client, "decompose_goal", "no_workflow", goal="x", name="x", document=broken)
        await call(client, "decompose_goal", "no_way", goal="x", name="x")

        # A run that is waited for, with its progress; the agent works on the same connection meanwhile.
        told = []

        async def progress(done, of, message):
            told.append((done, of, message))

        worker = asyncio.create_task(work(client, "1", incarnation, 2, lambda given: {"output": given["kind"].upper()}))
        run = await call(client, "start_workflow", progress=progress, key="order-1", workflow="report", input={}, wait_seconds=20)
        await worker
        assert run["phase"] == "finished" and [node["status"] for node in run["nodes"]] == ["succeeded"] * 2, run
        assert len(told) >= 3 and told[-1][:2] == (1.0, 1.0) and told == sorted(told, key=lambda one: one[0]), told
        again = await call(client, "start_workflow", key="order-1", workflow="report", input={})
        assert again["run"] == run["run"] and again["phase"] == "finished"
        await call(client, "start_workflow", "unknown_workflow", key="order-2", workflow="none")

        # A run that waits for a signal.
        worker = asyncio.create_task(work(client, "1", incarnation, 1, lambda given: {"output": 1}))
        waits = (await call(client, "start_workflow", key="order-3", workflow="waits"))["run"]
        await worker
        assert "signal" in str((await read(client, f"counterpoint://runs/{waits}"))["waits_for"])
        await call(client, "signal_workflow", run=waits, signal="ok")
        assert (await call(client, "get_status", run=waits, wait_seconds=10))["phase"] == "finished"

        # A plan: two agents would be quicker than one, and who has not the skill does nothing.
        tasks = [{"task": str(task), "seconds": 10, "skills": {"fetch": 1}} for task in (101, 102)]
        tasks.append({"task": "103", "seconds": 5, "skills": {"write": 2}, "after": ["101", "102"]})
        plan = await call(client, "assign_tasks", tasks=tasks)
        assert plan["makespan_seconds"] == 25 and plan["proven"] and {one["agent"] for one in plan["plan"]} == {"1"}, plan
        reason = await call(client, "assign_tasks", "no_plan", tasks=[{"task": "1", "seconds": 1, "skills": {"fly": 1}}])
        assert reason == "no agent can do task t1", reason
        assert (await call(client, "get_status"))["queued"] == 0
        workflows = (await read(client, "counterpoint://workflows"))["workflows"]
        assert [(one["name"], one["inputs"]) for one in workflows] == [("report", None), ("waits", None)], workflows
        runs = await read(client, "counterpoint://runs")
        assert [one["workflow"] for one in runs["runs"]] == ["report", "waits"]
        words = [one["text"] for one in (await read(client, "counterpoint://events"))["events"]]
        assert any("succeeded" in word for word in words), words
        for uri in ("counterpoint://runs/5", "counterpoint://nothing", "other://x"):
            try:
                await read(client, uri)
                raise SystemExit(f"{uri} can be read")
            except MCPError:
                pass
    # Another process goes on with the journal.
    async with Client(server) as client:
        run = await call(client, "start_workflow", key="order-1", workflow="report", input={})
        assert run["phase"] == "finished", run
        assert (await read(client, "counterpoint://agents"))["agents"] == []


async def on_http(url):
    """Several connections, each with a token of its own."""

    def connect(token, **settings):
        http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"} if token else {}, timeout=30)
        return Client(streamable_http_client(url, http_client=http), **settings)

    for token in (None, "guess"):
        try:
            async with connect(token) as client:
                await client.list_tools()
            raise SystemExit("somebody without a token was let in")
        except Exception as refused:
            assert not isinstance(refused, SystemExit)
    async with connect("t-ada") as ada, connect("t-7") as seven, connect("t-8") as eight:
        incarnation = (await call(seven, "register_agent", agent="7", skills={"square": 1}))["incarnation"]
        await call(seven, "register_agent", "denied", agent="8")
        await call(ada, "register_agent", "denied", agent="7")
        await call(seven, "distribute_task", "denied", key="1", kind="square")
        await call(ada, "get_status", "denied")
        await call(ada, "get_status", "denied", agent="7")
        await call(ada, "assign_tasks", "denied")

        told = []

        async def progress(done, of, message):
            told.append(message)

        # A task that fails once, and is waited for.
        answers = iter([{"failure": {"kind": "transient", "message": "again"}}, {"output": 49}])
        worker = asyncio.create_task(work(seven, "7", incarnation, 2, lambda given: next(answers)))
        done = await call(ada, "distribute_task", progress=progress, key="sq-7", kind="square", payload={"number": 7}, attempts=3, wait_seconds=20)
        await worker
        assert done["outcome"] == {"succeeded": 49} and done["attempts"] == 2, done
        assert any("assigned" in message for message in told) and any("again" in message for message in told), told
        same = await call(ada, "distribute_task", key="sq-7", kind="square", payload={"number": 7}, attempts=3)
        assert same == done
        await call(ada, "distribute_task", "task_conflict", key="sq-7", kind="cube")
        await call(ada, "get_status", "unknown_task", task="5")
        await call(ada, "get_status", "bad_id", task="five")
        await call(ada, "distribute_task", "bad_tier", key="t", kind="square", tier="purple")
        await call(ada, "get_status", "bad_seconds", task=done["task"], wait_seconds=-1)

        # The same for a client that follows tasks of the protocol: it is not kept waiting, and asks.
        tasks = Tasks()
        async with connect("t-ada", extensions=[tasks]) as follower:
            async def brings():
                return await call(follower, "distribute_task", key="sq-6", kind="square", payload={"number": 6}, wait_seconds=20)

            bringing = asyncio.create_task(brings())
            while not tasks.states:
                await asyncio.sleep(0.01)
            await work(seven, "7", incarnation, 1, lambda given: {"output": given["payload"]["number"] ** 2})
            done = await bringing
            assert done["outcome"] == {"succeeded": 36}, done
            assert tasks.states[0] == (f"task-{done['task']}", "working") and tasks.states[-1][1] == "completed", tasks.states
            asked = len(tasks.states)
            assert await brings() == done and len(tasks.states) == asked

        # Only the holder may answer, once, in its present incarnation.
        task = (await call(ada, "distribute_task", key="sq-8", kind="square"))["task"]
        other = (await call(eight, "register_agent", agent="8"))["incarnation"]
        answer = {"task": task, "attempt": 1, "output": 64}
        await call(eight, "handle_task_response", "denied", agent="8", incarnation=other, **answer)
        await call(seven, "handle_task_response", "no_verdict", agent="7", incarnation=incarnation, task=task, attempt=1)
        await call(seven, "handle_task_response", "stale_attempt", agent="7", incarnation=incarnation, **{**answer, "attempt": 9})
        # Drained, it finishes what it holds and is given nothing new.
        now = await call(seven, "update_agent_status", agent="7", incarnation=incarnation, status="draining")
        assert now["status"] == "draining" and len(now["work"]) == 1, now
        waiting = (await call(ada, "distribute_task", key="sq-9", kind="square"))["task"]
        finished = await call(seven, "handle_task_response", agent="7", incarnation=incarnation, **answer)
        assert finished["state"] == "succeeded"
        assert (await call(ada, "get_status", task=waiting))["state"] == "queued"
        young = (await call(seven, "register_agent", agent="7", skills={"square": 1}))["incarnation"]
        await call(seven, "update_agent_status", "stale_incarnation", agent="7", incarnation=incarnation, status="online")
        now = await call(seven, "update_agent_status", agent="7", incarnation=young, status="online", capacity=2)
        assert now["capacity"] == 2 and now["work"][0]["task"] == waiting, now
        await call(seven, "unregister_agent", agent="7")
        assert (await call(ada, "get_status", task=waiting))["state"] in ("queued", "backoff")
        await call(seven, "unregister_agent", "unknown_agent", agent="7")
        try:
            await read(ada, "counterpoint://events")
            raise SystemExit("she may not read")
        except MCPError:
            pass


asyncio.run(on_stdio())
server = subprocess.Popen([binary, "--tokens", tokens, "--http", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
try:
    asyncio.run(on_http(server.stdout.readline().split()[-1]))
finally:
    server.kill()
    server.wait()
print("all as it should be")
