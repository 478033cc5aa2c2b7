//! The JSON Schema in an editor: completion and mistakes, by a language server that others wrote (`yaml-language-server`).
//!
//! `.ci/run` installs the server and names its folder in `COUNTERPOINT_YAML_SERVER`. Without it the test prints that it is left out.

use counterpoint::language::Document;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A language server, asked over its standard input and output.
struct Server {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    /// The settings that the server asks for.
    settings: Value,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The next message; none at the end.
fn message(output: &mut BufReader<ChildStdout>) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    output.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

impl Server {
    /// Starts the server with this schema for all YAML documents, without any use of the network.
    #[expect(clippy::disallowed_methods, reason = "a server that does not answer must not hold the test")]
    fn start(folder: &Path, schema: &Path) -> Self {
        let mut child = Command::new("node")
            .arg(folder.join("node_modules/yaml-language-server/bin/yaml-language-server"))
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is installed");
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            while let Some(message) = message(&mut output) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let settings = json!({
            "schemaStore": {"enable": false}, "kubernetesCRDStore": {"enable": false}, "validate": true, "completion": true,
            "schemas": {format!("file://{}", schema.display()): "*.yaml"},
        });
        let mut server = Self { child, input, messages, settings };
        server.ask(1, "initialize", &json!({"processId": null, "rootUri": null, "capabilities": {}}));
        server.tell("initialized", &json!({}));
        server.tell("workspace/didChangeConfiguration", &json!({"settings": {"yaml": server.settings}}));
        server
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.input.flush().unwrap();
    }

    fn tell(&mut self, method: &str, params: &Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// The next message that is wanted. Questions of the server are answered.
    fn until(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.messages.recv_timeout(Duration::from_secs(120)).expect("the server answers");
            if let (Some(id), Some(_)) = (message.get("id"), message.get("method")) {
                let asked = message["params"]["items"].as_array().cloned().unwrap_or_default();
                let own = |item: &Value| if item["section"] == "yaml" { self.settings.clone() } else { json!({}) };
                let result: Vec<Value> = asked.iter().map(own).collect();
                self.send(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
            } else if is_wanted(&message) {
                return message;
            }
        }
    }

    fn ask(&mut self, id: u32, method: &str, params: &Value) -> Value {
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        self.until(|message| message["id"] == id && message.get("method").is_none())["result"].take()
    }

    /// The mistakes of a document, each with its line and column, from one.
    fn mistakes(&mut self, uri: &str, text: &str) -> Vec<String> {
        let document = json!({"uri": uri, "languageId": "yaml", "version": 1, "text": text});
        self.tell("textDocument/didOpen", &json!({"textDocument": document}));
        let found = self
            .until(|message| message["method"] == "textDocument/publishDiagnostics" && message["params"]["uri"] == uri);
        let mut mistakes: Vec<(u64, u64, String)> = found["params"]["diagnostics"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                let at = &one["range"]["start"];
                let place = |field: &str| at[field].as_u64().unwrap() + 1;
                (place("line"), place("character"), one["message"].as_str().unwrap().to_owned())
            })
            .collect();
        mistakes.sort();
        mistakes.into_iter().map(|(line, column, text)| format!("{line}:{column}: {text}")).collect()
    }

    /// What can be written at a place of a document that is open, in the order of the server.
    fn completion(&mut self, uri: &str, (line, column): (u32, u32)) -> Vec<String> {
        let position = json!({"line": line - 1, "character": column - 1});
        let params = json!({"textDocument": {"uri": uri}, "position": position});
        let answer = self.ask(line * 1_000 + column, "textDocument/completion", &params);
        let items = answer.get("items").unwrap_or(&answer).as_array().cloned().unwrap_or_default();
        items.iter().map(|item| item["label"].as_str().unwrap().to_owned()).collect()
    }
}

const WRONG: &str = "name: order
tasks:
  - id: charge
    retires: 3
    priority: hihg
    timeout: []
  - id: ship
    depends_on: {task: charge, on: sucess}
contxt: {}
";

/// With what is missing in the lines 4 to 7.
const OPEN: &str = "name: order
tasks:
  - id: charge
    \n    priority: \n    retry: {jitter: }
    join: \n";

#[test]
fn an_editor_completes_and_finds_mistakes_with_the_schema() {
    let Some(folder) = std::env::var_os("COUNTERPOINT_YAML_SERVER") else {
        println!("left out: COUNTERPOINT_YAML_SERVER names no folder with yaml-language-server");
        return;
    };
    let schema = std::env::temp_dir().join(format!("counterpoint-schema-{}.json", std::process::id()));
    std::fs::write(&schema, Document::schema().to_string()).unwrap();
    let mut server = Server::start(Path::new(&folder), &schema);

    for file in ["etl.yaml", "research.yaml", "order.yaml"] {
        let none: [String; 0] = [];
        assert_eq!(server.mistakes(&format!("file:///{file}"), &super::example(file)), none, "{file}");
    }

    let mistakes = server.mistakes("file:///wrong.yaml", WRONG);
    let expected = [
        ("4:5: ", "Property retires is not allowed"),
        ("5:15: ", "Valid values: \"critical\", \"high\", \"normal\", \"low\""),
        ("6:14: ", "Incorrect type"),
        ("8:36: ", "Valid values: \"success\", \"failure\", \"always\", \"each\""),
        ("9:1: ", "Property contxt is not allowed"),
    ];
    assert_eq!(mistakes.len(), expected.len(), "{mistakes:#?}");
    for (mistake, (place, text)) in mistakes.iter().zip(expected) {
        assert!(mistake.starts_with(place) && mistake.contains(text), "{mistake} is not {place}{text}");
    }

    let open = "file:///open.yaml";
    server.mistakes(open, OPEN);
    for (place, wanted) in [
        ((4, 5), &["for_each", "handlers", "timeout", "when", "workflow"][..]),
        ((5, 15), &["critical", "high", "normal", "low"]),
        ((6, 21), &["full", "equal", "decorrelated", "none"]),
        ((7, 11), &["all", "any", "each", "all_done", "none_failed"]),
    ] {
        let offered = server.completion(open, place);
        for wanted in wanted {
            assert!(offered.iter().any(|one| one == wanted), "{wanted} at {place:?}: {offered:?}");
        }
    }
    // What the task has is not offered again.
    assert!(!server.completion(open, (4, 5)).iter().any(|one| one == "priority" || one == "id"));
    drop(server);
    std::fs::remove_file(&schema).unwrap();
}
