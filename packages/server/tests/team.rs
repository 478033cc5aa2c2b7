//! `counterpoint serve` as the server of a team: files and schedules that it performs, settings, TLS, operations.

mod common;

use common::api::{Served, TOKENS};
use common::{Place, exists, until};
use serde_json::{Value, json};
use std::process::Command;

const FLOW: &str = "name: copy
inputs: {text: {type: string, default: hi}}
tasks:
  - id: say
    inputs: {text: \"${inputs.text}\"}
outputs: \"${say.output}\"
schedule: {cron: \"* * * * * *\", input: {text: scheduled}}
agents: {say: {command: [printf, \"%s in %s\", \"${input.text}\", \"${run}\"]}}
";

fn begin(served: &Served, id: u32, text: &str) -> Value {
    let run = json!({"id": id.to_string(), "workflow": "copy", "input": {"text": text}});
    let (status, body) = served.send("POST", "/v1/runs", &run);
    assert_eq!(status, 201, "{body}");
    served.get(&format!("/v1/runs/{id}?wait=30"))
}

#[test]
fn files_are_performed_and_their_schedules_start_runs() {
    let place = Place::with(FLOW);
    let served = Served::start(&place, &["--listen", "127.0.0.1:0", "flow.yaml"]);
    assert_eq!(begin(&served, 1, "by hand")["outcome"]["succeeded"]["output"], "by hand in 1");
    until("the schedule has fired", || served.get("/v1/schedules/copy")["recent"].as_array().unwrap().len() > 1);
    let run = served.get("/v1/schedules/copy")["recent"][0].as_str().unwrap().to_owned();
    let ended = served.get(&format!("/v1/runs/{run}?wait=30"));
    assert_eq!(ended["outcome"]["succeeded"]["output"], format!("scheduled in {run}"), "{ended}");
    served.running.kill();
    // The same files again, one of them with another schedule.
    place.write("flow.yaml", &FLOW.replace("* * * * * *", "0 2 * * *"));
    let served = Served::start(&place, &["--listen", "127.0.0.1:0", "flow.yaml"]);
    assert_eq!(served.get("/v1/schedules/copy")["spec"]["timing"]["rules"][0]["cron"], "0 2 * * *");
    assert_eq!(begin(&served, 2, "again")["outcome"]["succeeded"]["output"], "again in 2");
    // Asked to end, it ends well.
    served.running.signal("TERM");
    served.running.end().with(0);
}

/// The child of a server that was killed while it started a command has the locks of its parent until the command begins.
#[test]
fn a_server_that_was_killed_is_started_again_while_a_child_of_it_still_holds_the_lock() {
    let place = Place::with(FLOW);
    Served::start(&place, &["--listen", "127.0.0.1:0"]).running.kill();
    let lock = std::fs::File::options().write(true).open(place.path("data/serve.lock")).unwrap();
    lock.lock().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(300));
            lock.unlock().unwrap();
        });
        let served = Served::start(&place, &["--listen", "127.0.0.1:0"]);
        assert_eq!(served.send("GET", "/ready", &Value::Null).0, 200);
    });
}

#[test]
fn a_changed_workflow_needs_a_new_version_and_mistakes_are_reported_first() {
    let place = Place::with(FLOW);
    place.write("tokens.json", TOKENS);
    let served = Served::start(&place, &["--listen", "127.0.0.1:0", "flow.yaml"]);
    // Only one server for a folder.
    place.run(["serve", "--data", "data", "--listen", "127.0.0.1:0"]).with(5).says("another process serves");
    served.running.kill();
    let serve = |files: &[&str]| {
        place.run(["serve", "--data", "data", "--tokens", "tokens.json", "--listen", "127.0.0.1:0"].iter().chain(files))
    };
    place.write("other.yaml", FLOW);
    serve(&["flow.yaml", "other.yaml"]).with(3).says("workflow `copy` is in flow.yaml as well");
    place.write("other.yaml", &FLOW.replace("name: copy", "name: other"));
    serve(&["flow.yaml", "other.yaml"]).with(3).says("an agent of this name is in flow.yaml as well");
    for (schedule, expected) in [
        ("{}", "missing field `cron`"),
        ("{cron: x, zzz: 1}", "unknown field `zzz`"),
        ("{cron: \"* * * * *\", input: {text: 7}}", "schedule.input"),
    ] {
        let changed = FLOW.replace("{cron: \"* * * * * *\", input: {text: scheduled}}", schedule);
        place.write("other.yaml", &changed);
        serve(&["other.yaml"]).with(3).says(expected);
    }
    place.write("other.yaml", &FLOW.replace("* * * * * *", "61 * * * *"));
    serve(&["other.yaml"]).with(8).says("schedule");
}

#[test]
fn a_long_command_is_ended_with_the_server_and_tried_again() {
    let flow = "name: copy
tasks: [{id: slow}]
outputs: \"${slow.output}\"
agents: {slow: {shell: 'echo $$ >> pids; test -e go || sleep 600; echo done'}}
";
    let place = Place::with(flow);
    let served = Served::start(&place, &["--listen", "127.0.0.1:0", "flow.yaml"]);
    let (status, body) = served.send("POST", "/v1/runs", &json!({"id": "1", "workflow": "copy"}));
    assert_eq!(status, 201, "{body}");
    until("the command runs", || !place.read("pids").is_empty());
    served.running.signal("TERM");
    served.running.end();
    for pid in place.read("pids").lines() {
        until("the command has ended", || !exists(pid));
    }
    place.write("go", "");
    let served = Served::start(&place, &["--listen", "127.0.0.1:0", "flow.yaml"]);
    let ended = served.get("/v1/runs/1?wait=30");
    assert_eq!(ended["outcome"]["succeeded"]["output"], "done", "{ended}");
}

#[test]
fn settings_come_from_the_command_line_then_the_environment_then_the_file() {
    let place = Place::with(FLOW);
    place.write("tokens.json", TOKENS);
    place.write(
        "etc/server.toml",
        "listen = \"127.0.0.1:0\"\nfiles = [\"../flow.yaml\"]\ntokens = \"../tokens.json\"\nwrite_seconds = 5\n",
    );
    let mut started = place.start(["serve", "--data", "data", "--config", "etc/server.toml"]);
    let address = started.first_line();
    let served = Served { running: started, address: address.trim().split_once("://").unwrap().1.to_owned() };
    assert_eq!(begin(&served, 1, "x")["outcome"]["succeeded"]["output"], "x in 1");
    served.running.kill();
    let serve = |variables: &[(&str, &str)], words: &[&str]| {
        let mut command = place.command(["serve", "--data", "data"].iter().chain(words));
        let output = command.envs(variables.iter().copied()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let config = ("COUNTERPOINT_CONFIG", "etc/server.toml");
    let (code, text) = serve(&[config, ("COUNTERPOINT_LISTEN", "of-environment")], &[]);
    assert!(code == Some(6) && text.contains("of-environment"), "{text}");
    let (code, text) = serve(&[config, ("COUNTERPOINT_LISTEN", "of-environment")], &["--listen", "of-words"]);
    assert!(code == Some(6) && text.contains("of-words"), "{text}");
    place.write("etc/server.toml", "listne = \"x\"\n");
    let (code, text) = serve(&[config], &[]);
    assert!(code == Some(3) && text.contains("listne"), "{text}");
    place.write("etc/server.toml", "write_seconds = 0\n");
    assert_eq!(serve(&[config], &[]).0, Some(2));
    place.write("etc/server.toml", "tls_key = \"x\"\n");
    assert_eq!(serve(&[config], &[]).0, Some(2));
}

#[test]
fn requests_are_served_over_tls() {
    let place = Place::with(FLOW);
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    place.write("cert.pem", &made.cert.pem());
    place.write("key.pem", &made.signing_key.serialize_pem());
    let tls = ["--tls-certificate", "cert.pem", "--tls-key", "key.pem"];
    let served = Served::start(&place, &[&["--listen", "127.0.0.1:0"][..], &tls].concat());
    let port = served.address.rsplit(':').next().unwrap();
    let curl = |words: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-s", "--max-time", "20"]).args(words).arg(format!("https://localhost:{port}/ready"));
        let output = command.current_dir(place.path("")).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (good, text) = curl(&["--cacert", "cert.pem"]);
    assert!(good && text.contains("ready"), "{text}");
    assert!(!curl(&[]).0, "a client without the certificate trusts the server");
    place.run(["serve", "--data", "other", "--tls-certificate", "cert.pem", "--tls-key", "cert.pem"]).with(6);
    place.run(["serve", "--data", "other", "--tls-certificate", "cert.pem"]).with(2);
}

#[test]
fn decisions_operations_and_dead_letters_have_an_api() {
    let flow = "name: gates
tasks:
  - {id: review, race: [{name: v, decision: {role: editor, options: [publish, reject]}}]}
  - {id: print, depends_on: {task: review, case: publish}, retry: {attempts: 1}}
outputs: \"${print.output}\"
agents: {print: {shell: 'test -e ready || exit 1; echo printed'}}
";
    let place = Place::with(flow);
    let served = Served::start(&place, &["--listen", "127.0.0.1:0", "flow.yaml"]);
    let send = |path: &str, body: Value| served.send("POST", path, &body);
    assert_eq!(send("/v1/runs", json!({"id": "1", "workflow": "gates"})).0, 201);
    assert_eq!(send("/v1/runs/1/decisions", json!({"node": "review", "option": "burn"})).0 / 100, 4);
    assert_eq!(send("/v1/runs/1/decisions", json!({"node": "print", "option": "publish"})).0 / 100, 4);
    assert_eq!(send("/v1/runs/9/decisions", json!({"node": "review", "option": "publish"})).0, 404);
    assert_eq!(send("/v1/runs/1/operations", json!({"pause": {"reason": "lunch"}})).0, 202);
    assert_eq!(send("/v1/runs/1/operations", json!({"resume": {}})).0, 202);
    assert_eq!(send("/v1/runs/1/operations", json!({"explode": {}})).0, 422);
    let (status, body) = send("/v1/runs/1/decisions", json!({"node": "review", "option": "publish", "note": "fine"}));
    assert_eq!(status, 202, "{body}");
    let ended = served.get("/v1/runs/1?wait=30");
    assert!(!ended["outcome"]["failed"].is_null(), "{ended}");
    // A task of its own that fails for good is a dead letter.
    assert_eq!(send("/v1/tasks", json!({"id": "5", "kind": "print", "needs": {"skills": {"print": 1}}, "policy": {"retry": {"attempts": 1, "base": "1ms", "cap": "1ms"}}})).0 / 100, 2);
    until("the task is a dead letter", || served.get("/v1/dead-letters").to_string().contains("\"5\""));
    let letters = served.get("/v1/dead-letters");
    assert_eq!(letters["next"], Value::Null, "{letters}");
    place.write("ready", "");
    let (status, body) = send("/v1/dead-letters/5/replay", Value::Null);
    assert_eq!(status, 202, "{body}");
    let fresh = body["task"].as_str().unwrap().to_owned();
    let task = served.get(&format!("/v1/tasks/{fresh}?wait=30"));
    assert!(!task["outcome"]["succeeded"].is_null(), "{task}");
    assert_eq!(served.send("DELETE", "/v1/dead-letters/5", &Value::Null).0 / 100, 4, "it was replayed");
    // Schedules.
    let spec = json!({"id": "nightly", "workflow": "gates", "timing": {"rules": [{"cron": "0 2 * * *"}]}});
    assert_eq!(served.send("PUT", "/v1/schedules/nightly", &spec).0, 201);
    assert_eq!(served.send("PUT", "/v1/schedules/nightly", &spec).0, 200);
    assert_eq!(served.send("PUT", "/v1/schedules/other", &spec).0, 422);
    let operate = |body: Value| served.send("POST", "/v1/schedules/nightly/operations", &body).0;
    assert_eq!(operate(json!({"pause": {"note": "holiday"}})), 202);
    assert_eq!(served.get("/v1/schedules/nightly")["paused"], "holiday");
    assert_eq!(operate(json!({"resume": {"note": "back"}})), 202);
    assert_eq!(operate(json!({"trigger": {"request": "now"}})), 202);
    assert_eq!(served.get("/v1/schedules")["schedules"][0]["fired"], 1);
    assert_eq!(served.send("DELETE", "/v1/schedules/nightly", &Value::Null).0, 204);
    assert_eq!(served.send("GET", "/v1/schedules/nightly", &Value::Null).0, 404);
}
