//! Which nodes become memory and which ride inside a kernel.
//!
//! Elementwise nodes join the cluster of their users where all of them end in
//! the same kernel: an elementwise cluster, the prologue of a reduction, or the
//! epilogue of a matrix product or convolution. Views (broadcast, permute,
//! slice, reshape) are strides of their source and cost nothing.

use std::collections::{BTreeSet, HashMap};

use crate::graph::{Binary, Class, Graph, NodeId, Op};

/// Storage bindings a stage may have by WebGPU's defaults.
const BINDINGS: usize = 8;

/// The fate of every node of a graph.
#[derive(Debug)]
pub(super) struct Fusion {
    fates: Vec<Fate>,
    /// For a cluster that rides on a contraction: which one.
    hosts: HashMap<NodeId, NodeId>,
    roots: BTreeSet<NodeId>,
}

/// What becomes of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// Nobody needs it.
    Dead,
    /// It has memory: its own, or a persistent tensor's.
    Memory,
    /// It is strides over its source's memory.
    View,
    /// It is computed inside the kernel of this node.
    Inside(NodeId),
    /// It is one operation on what has memory anyway, computed again in each
    /// kernel that needs it.
    Everywhere,
}

impl Fusion {
    /// Decides for the nodes that `roots` need.
    pub(super) fn of(graph: &Graph, roots: &[NodeId]) -> Self {
        let mut cut = BTreeSet::new();
        loop {
            let mut fusion = Self::with_cut(graph, roots, &cut);
            match fusion.overfull(graph) {
                Some(node) => {
                    cut.insert(node);
                }
                None => {
                    fusion.find_hosts(graph);
                    return fusion;
                }
            }
        }
    }

    /// What becomes of a node.
    pub(super) fn fate(&self, id: NodeId) -> Fate {
        self.fates[id.0]
    }

    /// The contraction whose epilogue computes this node, if there is one.
    pub(super) fn host(&self, id: NodeId) -> Option<NodeId> {
        self.hosts.get(&id).copied()
    }

    /// `cut` are nodes that must have memory.
    fn with_cut(graph: &Graph, roots: &[NodeId], cut: &BTreeSet<NodeId>) -> Self {
        let mut users: Vec<Vec<NodeId>> = vec![Vec::new(); graph.nodes().len()];
        let mut fates = vec![Fate::Dead; graph.nodes().len()];
        let roots: BTreeSet<NodeId> = roots.iter().copied().collect();
        for index in (0..fates.len()).rev() {
            let id = NodeId(index);
            let node = graph.node(id);
            let is_root = roots.contains(&id);
            if !is_root && users[index].is_empty() {
                continue;
            }
            for input in &node.inputs {
                users[input.0].push(id);
            }
            fates[index] = match node.op {
                Op::Broadcast | Op::Permute(_) | Op::Slice { .. } | Op::Reshape => Fate::View,
                Op::Constant(_) => Fate::View,
                _ if node.op.is_elementwise() && !is_root && !cut.contains(&id) => {
                    match common_kernel(graph, &fates, &users[index]) {
                        Some(root) => Fate::Inside(root),
                        None if repeats(graph, &fates, id, &users[index]) => Fate::Everywhere,
                        None => Fate::Memory,
                    }
                }
                _ => Fate::Memory,
            };
        }
        Self {
            fates,
            hosts: HashMap::new(),
            roots,
        }
    }

    /// What the kernel that computes `root` reads from memory, and what it
    /// computes on the way.
    fn reach(&self, graph: &Graph, root: NodeId) -> (BTreeSet<NodeId>, BTreeSet<NodeId>) {
        let (mut loads, mut inner) = (BTreeSet::new(), BTreeSet::new());
        let mut stack = graph.node(root).inputs.clone();
        while let Some(id) = stack.pop() {
            if matches!(graph.node(id).op, Op::Constant(_)) {
                continue;
            }
            match self.fate(id) {
                Fate::Inside(_) | Fate::Everywhere => {
                    if inner.insert(id) {
                        stack.extend(&graph.node(id).inputs);
                    }
                }
                _ => {
                    loads.insert(id);
                }
            }
        }
        (loads, inner)
    }

    /// A node to give memory to because its cluster reads too much: the one
    /// that takes the most reads with it, without being too much itself.
    fn overfull(&self, graph: &Graph) -> Option<NodeId> {
        (0..self.fates.len())
            .map(NodeId)
            .filter(|&id| self.fate(id) == Fate::Memory && takes_cluster(&graph.node(id).op))
            .map(|id| self.reach(graph, id))
            .find(|(loads, _)| loads.len() >= BINDINGS)
            .and_then(|(_, inner)| {
                inner.into_iter().max_by_key(|&id| {
                    let loads = self.reach(graph, id).0.len();
                    if loads < BINDINGS { loads } else { 0 }
                })
            })
    }

    /// Lets clusters ride on a contraction that only they use.
    fn find_hosts(&mut self, graph: &Graph) {
        let mut users: HashMap<NodeId, usize> = HashMap::new();
        for (index, node) in graph.nodes().iter().enumerate() {
            if self.fates[index] != Fate::Dead {
                for input in node.inputs.iter().collect::<BTreeSet<_>>() {
                    *users.entry(*input).or_default() += 1;
                }
            }
        }
        for index in 0..self.fates.len() {
            let root = NodeId(index);
            if self.fates[index] != Fate::Memory || !graph.node(root).op.is_elementwise() {
                continue;
            }
            let (loads, _) = self.reach(graph, root);
            // The output and the contraction's two operands are bound too.
            if loads.len() + 2 > BINDINGS {
                continue;
            }
            let host = loads.iter().rev().copied().find(|&id| {
                is_contraction(&graph.node(id).op)
                    && graph.shape(id) == graph.shape(root)
                    && self.fate(id) == Fate::Memory
                    && !self.roots.contains(&id)
                    && self.users_within(graph, id, root) == users[&id]
            });
            if let Some(host) = host {
                self.hosts.insert(root, host);
                self.fates[host.0] = Fate::Inside(root);
            }
        }
    }

    /// How many nodes of the cluster of `root` use `id`.
    fn users_within(&self, graph: &Graph, id: NodeId, root: NodeId) -> usize {
        (id.0 + 1..=root.0)
            .map(NodeId)
            .filter(|&user| user == root || self.fate(user) == Fate::Inside(root))
            .filter(|&user| graph.node(user).inputs.contains(&id))
            .count()
    }
}

/// The one kernel in which all users of a node run, if they do.
fn common_kernel(graph: &Graph, fates: &[Fate], users: &[NodeId]) -> Option<NodeId> {
    let kernel = |user: NodeId| match fates[user.0] {
        Fate::Inside(root) => Some(root),
        Fate::Memory if takes_cluster(&graph.node(user).op) => Some(user),
        _ => None,
    };
    let first = kernel(*users.first()?)?;
    users
        .iter()
        .all(|&user| kernel(user) == Some(first))
        .then_some(first)
}

/// Whether a node is cheaper to compute in each of its users' kernels than to
/// store: one arithmetic operation on values that have memory for other
/// reasons.
fn repeats(graph: &Graph, fates: &[Fate], id: NodeId, users: &[NodeId]) -> bool {
    let node = graph.node(id);
    matches!(
        node.op,
        Op::Binary(Binary::Add | Binary::Sub | Binary::Mul | Binary::Greater)
    ) && node
        .inputs
        .iter()
        .all(|&input| !graph.node(input).op.is_elementwise())
        && users.iter().all(|&user| match fates[user.0] {
            Fate::Inside(_) => true,
            Fate::Memory => takes_cluster(&graph.node(user).op),
            _ => false,
        })
}

/// Kernels that compute an expression of their inputs, element by element.
fn takes_cluster(op: &Op) -> bool {
    matches!(op.class(), Class::Elementwise | Class::Reduction)
}

/// Kernels with an epilogue.
fn is_contraction(op: &Op) -> bool {
    op.class() == Class::Contraction
}
