//! The sagas as steno's directed graphs of named actions.

use super::Way;
use slog::{Discard, Logger, o};
use std::sync::Arc;
use steno::{
    ActionContext, ActionError, ActionFunc, ActionRegistry, DagBuilder, InMemorySecStore, Node, SagaDag, SagaId,
    SagaName, SagaType, SecClient, new_action_noop_undo,
};
use tokio::runtime::Runtime;

#[derive(Debug)]
struct Nothing;

impl SagaType for Nothing {
    type ExecContextType = Arc<()>;
}

type Action = Arc<dyn steno::Action<Nothing>>;

async fn act(_: ActionContext<Nothing>) -> Result<u32, ActionError> {
    Ok(1)
}

async fn undo(_: ActionContext<Nothing>) -> Result<(), anyhow::Error> {
    Ok(())
}

async fn fail(_: ActionContext<Nothing>) -> Result<u32, ActionError> {
    Err(ActionError::action_failed("no".to_owned()))
}

fn actions() -> (Action, Action) {
    (ActionFunc::new_action("act", act, undo), new_action_noop_undo("fail", fail))
}

/// A coordinator, and the saga that it runs again and again.
pub(super) struct Sagas {
    client: SecClient,
    registry: Arc<ActionRegistry<Nothing>>,
    dag: Arc<SagaDag>,
}

impl Sagas {
    pub(super) fn new(runtime: &Runtime, dag: SagaDag) -> Self {
        let (act, fail) = actions();
        let mut registry = ActionRegistry::new();
        registry.register(act);
        registry.register(fail);
        let _inside = runtime.enter();
        let client = steno::sec(Logger::root(Discard, o!()), Arc::new(InMemorySecStore::new()));
        Self { client, registry: Arc::new(registry), dag: Arc::new(dag) }
    }

    pub(super) fn run(&self, runtime: &Runtime, way: Way) {
        let succeeded = runtime.block_on(async {
            let id = SagaId::new_v4();
            let (dag, registry) = (Arc::clone(&self.dag), Arc::clone(&self.registry));
            let end = self.client.saga_create(id, Arc::new(Arc::new(())), dag, registry).await.expect("it is sound");
            self.client.saga_start(id).await.expect("it starts");
            end.await.kind.is_ok()
        });
        assert_eq!(succeeded, way == Way::Forward);
    }
}

/// Actions in a row, of which the last may fail.
pub(super) fn chain(steps: u64, way: Way) -> SagaDag {
    let (act, fail) = actions();
    let mut builder = DagBuilder::new(SagaName::new("saga"));
    for place in 0..steps {
        let last = place + 1 == steps && way == Way::AndBack;
        let action = if last { &fail } else { &act };
        builder.append(Node::action(format!("s{place}").as_str(), "step", action.as_ref()));
    }
    SagaDag::new(builder.build().expect("it is sound"), serde_json::Value::Null)
}

/// Four at once, then the next four; steno wants one action at the end.
pub(super) fn stages(count: u64) -> SagaDag {
    let (act, _) = actions();
    let mut builder = DagBuilder::new(SagaName::new("stages"));
    for stage in 0..count {
        let lane = |lane| Node::action(format!("s{stage}.{lane}").as_str(), "step", act.as_ref());
        builder.append_parallel((0..4).map(lane).collect());
    }
    builder.append(Node::action("end", "step", act.as_ref()));
    SagaDag::new(builder.build().expect("it is sound"), serde_json::Value::Null)
}
