//! Lineage in the W3C PROV data model.

use super::record::{Maker, Print, Product, RunLineage};
use super::source::Source;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The relations and elements of a document, by kind.
#[derive(Default)]
struct Document {
    kinds: BTreeMap<&'static str, Map<String, Value>>,
    relations: usize,
}

impl Document {
    fn thing(&mut self, kind: &'static str, id: &str, attributes: Value) {
        self.kinds.entry(kind).or_default().insert(id.to_owned(), attributes);
    }

    fn relation(&mut self, kind: &'static str, attributes: Value) {
        self.relations += 1;
        let id = format!("_:r{}", self.relations);
        self.kinds.entry(kind).or_default().insert(id, attributes);
    }
}

impl RunLineage {
    /// Exports the lineage as [PROV-JSON](https://www.w3.org/submissions/prov-json/): outputs are entities, the work
    /// that made them are activities, and agents are associated with activities under the definition as plan. Entities
    /// have size and hash, not content. Times are in nanoseconds from the epoch of the host's clock.
    ///
    /// ```
    /// # use counterpoint::definition::{Action, Definition, Node};
    /// # use counterpoint::observe::Lineage;
    /// # use counterpoint::journal::Projection;
    /// # use counterpoint::{Command, Config, Engine, Outbox, RunId, RunSpec, Time};
    /// # let (mut engine, mut outbox, mut lineage) = (Engine::new(Config::default()), Outbox::default(), Lineage::default());
    /// # let pass = Definition::new("pass").with_node(Node::new("through", Action::Pass));
    /// # engine.handle(Time::ZERO, Command::define(pass), &mut outbox)?;
    /// # engine.handle(Time::ZERO, Command::start(RunSpec::new(RunId::new(1), "pass")), &mut outbox)?;
    /// # lineage.replay(outbox.entries());
    /// let run = lineage.run(RunId::new(1)).expect("it was seen");
    /// assert!(run.to_prov()["entity"]["cpt:run/r1/input"].is_object());
    /// # Ok::<(), counterpoint::Rejected>(())
    /// ```
    #[must_use]
    pub fn to_prov(&self) -> Value {
        let mut document = Document::default();
        let root = format!("cpt:run/{}", self.run);
        let plan = format!("cpt:definition/{}/{}", self.workflow, self.version);
        let hash = self.definition.as_ref().map(|definition| format!("{:016x}", definition.hash));
        document.thing("entity", &plan, json!({ "prov:type": "prov:Plan", "cpt:hash": hash }));
        document.thing("entity", &format!("{root}/input"), entity(Some(&self.input)));
        let mut latest: BTreeMap<&str, String> = BTreeMap::new();
        for product in &self.products {
            let made = self.product(&mut document, &root, &plan, product, &latest);
            if !product.undo {
                latest.insert(&product.node, made);
            }
        }
        if let Some(output) = &self.output {
            let id = format!("{root}/output");
            document.thing("entity", &id, entity(Some(output)));
            for used in sources(&root, &self.output_from, &latest) {
                document.relation("wasDerivedFrom", json!({ "prov:generatedEntity": id, "prov:usedEntity": used }));
            }
        }
        let mut all: Map<String, Value> =
            document.kinds.into_iter().map(|(kind, things)| (kind.to_owned(), Value::Object(things))).collect();
        all.insert("prefix".to_owned(), json!({ "cpt": "urn:counterpoint:" }));
        Value::Object(all)
    }

    /// Adds one output with its maker, activity and sources. Returns its id.
    fn product(
        &self,
        document: &mut Document,
        root: &str,
        plan: &str,
        product: &Product,
        latest: &BTreeMap<&str, String>,
    ) -> String {
        let phase = if product.undo { "undo" } else { "do" };
        let made = format!("{root}/output/{}", product.seq.get());
        let (activity, agent) = match product.by {
            Maker::Agent { attempt, by } => (format!("cpt:attempt/{attempt}"), Some(format!("cpt:agent/{by}"))),
            Maker::Known(task) => (format!("cpt:task/{task}"), None),
            Maker::Run(run) => (format!("cpt:run/{run}"), None),
            Maker::Core => (format!("{root}/core/{}", product.seq.get()), None),
        };
        let what = json!({ "cpt:node": product.node, "cpt:item": product.item, "cpt:phase": phase });
        document.thing("activity", &activity, what);
        document.thing("entity", &made, entity(product.output.as_ref()));
        let generated = json!({ "prov:entity": made, "prov:activity": activity, "cpt:at": product.at.as_nanos() });
        document.relation("wasGeneratedBy", generated);
        if let Some(agent) = agent {
            document.thing("agent", &agent, json!({ "prov:type": "prov:SoftwareAgent" }));
            let by = json!({ "prov:activity": activity, "prov:agent": agent, "prov:plan": plan });
            document.relation("wasAssociatedWith", by);
        }
        for used in sources(root, &product.from, latest) {
            document.relation("used", json!({ "prov:activity": activity, "prov:entity": used }));
        }
        made
    }
}

fn entity(print: Option<&Print>) -> Value {
    match print {
        Some(print) => json!({
            "cpt:bytes": print.bytes,
            "cpt:hash": print.hash.map(|hash| format!("{hash:016x}")),
        }),
        None => json!({}),
    }
}

/// The entities of sources; for a node its last output.
fn sources<'s>(
    root: &'s str,
    from: &'s std::collections::BTreeSet<Source>,
    latest: &'s BTreeMap<&str, String>,
) -> impl Iterator<Item = String> + 's {
    from.iter().filter_map(move |source| match source {
        Source::Input => Some(format!("{root}/input")),
        Source::Node(name) => latest.get(name.as_str()).cloned(),
        // A signal's payload is not an output of the run, and a variable has several writers.
        Source::Signal(_) | Source::Variable(_) | Source::PreviousRound => None,
    })
}
