//! The declaration of a graph, and its validation.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    BuildError, CyclePath, Dag, NodeIx, Topology,
    csr::{Csr, Marks},
};

/// Bounds on the size of a graph, so that a definition from outside cannot request all memory.
///
/// ```
/// use counterpoint::dag::{BuildError, Builder, Limits};
///
/// let mut graph = Builder::with_limits(Limits::default().nodes(1));
/// graph.node("one", ());
/// graph.node("two", ());
/// assert_eq!(graph.build().unwrap_err(), BuildError::TooManyNodes { limit: 1 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// The maximum number of nodes.
    pub nodes: u32,
    /// The maximum number of edges.
    pub edges: u32,
}

impl Limits {
    /// An index of an edge and an index of a root share 32 bits, so no wider limits are possible.
    const WIDEST: Self = Self { nodes: 1 << 30, edges: 1 << 31 };

    /// Sets the maximum number of nodes, at most 2^30.
    #[must_use]
    pub fn nodes(self, nodes: u32) -> Self {
        Self { nodes: nodes.min(Self::WIDEST.nodes), ..self }
    }

    /// Sets the maximum number of edges, at most 2^31.
    #[must_use]
    pub fn edges(self, edges: u32) -> Self {
        Self { edges: edges.min(Self::WIDEST.edges), ..self }
    }
}

impl Default for Limits {
    /// A million nodes, sixteen million edges.
    fn default() -> Self {
        Self { nodes: 1 << 20, edges: 1 << 24 }
    }
}

/// One end of an edge: a handle, or a name that is resolved when the graph is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End<'a> {
    /// The node with this handle.
    Node(NodeIx),
    /// The node with this name, which can be declared later.
    Name(&'a str),
}

impl From<NodeIx> for End<'_> {
    fn from(node: NodeIx) -> Self {
        Self::Node(node)
    }
}

impl<'a> From<&'a str> for End<'a> {
    fn from(name: &'a str) -> Self {
        Self::Name(name)
    }
}

/// Collects nodes and edges; [`build`](Builder::build) validates all of them at once.
///
/// Declarations do not fail, so no `?` is needed for each, and names can be used before their nodes are declared.
///
/// ```
/// use counterpoint::dag::{BuildError, Builder};
///
/// let mut graph = Builder::new();
/// graph.edge("boil", "brew").edge("grind", "brew");
/// for step in ["boil", "grind", "brew"] {
///     graph.node(step, ());
/// }
/// let coffee = graph.clone().build()?;
/// assert_eq!(coffee.topology().roots().len(), 2);
///
/// graph.edge("brew", "boil");
/// let error = graph.build().unwrap_err();
/// assert_eq!(error.to_string(), "the graph has a cycle: boil -> brew -> boil");
/// # Ok::<(), BuildError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Builder<N> {
    limits: Limits,
    payloads: Vec<N>,
    names: Vec<Box<str>>,
    edges: Vec<(Side, Side)>,
    /// The names in edges, which are resolved by `build`.
    references: Vec<Box<str>>,
    /// The first limit that was exceeded. Declarations after it are not stored.
    exceeded: Option<BuildError>,
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Node(NodeIx),
    /// An index into `references`.
    Name(usize),
}

impl<N> Builder<N> {
    /// An empty graph with the default [`Limits`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// An empty graph with these limits.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        // The fields are public, so the limits may not have been clamped by the methods.
        let limits = limits.nodes(limits.nodes).edges(limits.edges);
        let (payloads, names, edges, references) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { limits, payloads, names, edges, references, exceeded: None }
    }

    /// Declares a node with a unique name and a payload of the caller.
    pub fn node(&mut self, name: impl Into<Box<str>>, payload: N) -> NodeIx {
        let limit = self.limits.nodes;
        match u32::try_from(self.names.len()) {
            Ok(next) if next < limit => {
                self.names.push(name.into());
                self.payloads.push(payload);
                NodeIx::new(next)
            }
            _ => {
                self.exceeded.get_or_insert(BuildError::TooManyNodes { limit });
                NodeIx::new(limit)
            }
        }
    }

    /// Declares that `after` depends on `before`. Each can be a handle or a name.
    pub fn edge<'a>(&mut self, before: impl Into<End<'a>>, after: impl Into<End<'a>>) -> &mut Self {
        let limit = self.limits.edges;
        if self.edges.len() >= limit as usize {
            self.exceeded.get_or_insert(BuildError::TooManyEdges { limit });
        } else {
            let edge = (self.side(before.into()), self.side(after.into()));
            self.edges.push(edge);
        }
        self
    }

    /// The number of nodes declared so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether no nodes have been declared.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Validates the declarations and builds the graph.
    ///
    /// # Errors
    ///
    /// The first of these errors: a limit was exceeded, two nodes have the same name, an edge names an unknown node or
    /// the same node twice, an edge is declared twice, the edges form a cycle (which is returned).
    pub fn build(self) -> Result<Dag<N>, BuildError> {
        if let Some(error) = self.exceeded {
            return Err(error);
        }
        let by_name = sorted_names(&self.names)?;
        let nodes = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let find = |side: Side| match side {
            Side::Node(node) if node.get() < nodes => Ok(node),
            Side::Node(node) => Err(BuildError::UnknownNode { node: node.to_string() }),
            Side::Name(reference) => {
                let name = self.references.get(reference).map_or("", |name| name);
                let unknown = || BuildError::UnknownNode { node: name.to_owned() };
                find_name(&self.names, &by_name, name).ok_or_else(unknown)
            }
        };
        let mut edges = Vec::with_capacity(self.edges.len());
        for &(before, after) in &self.edges {
            edges.push((find(before)?, find(after)?));
        }
        let topology = validated(&self.names, &edges)?;
        Ok(Dag::new(Arc::new(topology), self.payloads, self.names, by_name))
    }

    fn side(&mut self, end: End<'_>) -> Side {
        match end {
            End::Node(node) => Side::Node(node),
            End::Name(name) => {
                self.references.push(name.into());
                Side::Name(self.references.len() - 1)
            }
        }
    }
}

impl<N> Default for Builder<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// The nodes in the order of their names, so that binary search finds a name and duplicates are neighbours.
fn sorted_names(names: &[Box<str>]) -> Result<Vec<NodeIx>, BuildError> {
    let mut sorted: Vec<(&str, u32)> = names.iter().map(|name| &**name).zip(0..).collect();
    sorted.sort_unstable();
    if let Some((name, _)) = sorted.windows(2).find_map(|pair| match pair {
        [a, b] if a.0 == b.0 => Some(a),
        _ => None,
    }) {
        return Err(BuildError::DuplicateName { name: (*name).to_owned() });
    }
    Ok(sorted.into_iter().map(|(_, index)| NodeIx::new(index)).collect())
}

pub(super) fn find_name(names: &[Box<str>], by_name: &[NodeIx], name: &str) -> Option<NodeIx> {
    let place = by_name.binary_search_by(|&node| name_of(names, node).cmp(name)).ok()?;
    by_name.get(place).copied()
}

fn name_of(names: &[Box<str>], node: NodeIx) -> &str {
    names.get(node.index()).map_or("", |name| name)
}

/// The checks that need the resolved edges.
fn validated(names: &[Box<str>], edges: &[(NodeIx, NodeIx)]) -> Result<Topology, BuildError> {
    let name = |node: NodeIx| name_of(names, node).to_owned();
    if let Some(&(node, _)) = edges.iter().find(|(from, to)| from == to) {
        return Err(BuildError::SelfEdge { node: name(node) });
    }
    let nodes = u32::try_from(names.len()).unwrap_or(u32::MAX);
    if let Some((from, to)) = double_edge(nodes, edges) {
        return Err(BuildError::DuplicateEdge { from: name(from), to: name(to) });
    }
    Topology::new(nodes, edges).map_err(|cycle| {
        let names = cycle.iter().map(|&node| name(node)).collect();
        BuildError::Cycle(CyclePath::new(cycle, names))
    })
}

fn double_edge(nodes: u32, edges: &[(NodeIx, NodeIx)]) -> Option<(NodeIx, NodeIx)> {
    let successors = Csr::new(nodes, edges.iter().copied());
    let mut seen = Marks::new(nodes as usize);
    for from in (0..nodes).map(NodeIx::new) {
        let list = successors.of(from);
        if let Some(&to) = list.iter().find(|&&to| !seen.insert(to)) {
            return Some((from, to));
        }
        for &to in list {
            seen.remove(to);
        }
    }
    None
}
