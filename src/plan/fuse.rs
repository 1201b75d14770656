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

/// Most operations that are repeated instead of a load.
const FEW: usize = 4;

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
                        None if repeats(graph, &fates, &users, id) => Fate::Everywhere,
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
/// store: one operation on values that have memory for other reasons, or a few that
/// read no more than the stored node would take.
fn repeats(graph: &Graph, fates: &[Fate], users: &[Vec<NodeId>], id: NodeId) -> bool {
    let node = graph.node(id);
    let has_stored_inputs = || {
        let mut inputs = node.inputs.iter();
        inputs.all(|&input| !graph.node(input).op.is_elementwise())
    };
    is_quick(&node.op)
        && (has_stored_inputs() || reads_one(graph, fates, users, id))
        && users[id.0].iter().all(|&user| match fates[user.0] {
            Fate::Inside(_) | Fate::Everywhere => true,
            Fate::Memory => takes_cluster(&graph.node(user).op),
            _ => false,
        })
}

/// Operations that take less time than a load.
fn is_quick(op: &Op) -> bool {
    matches!(
        op,
        Op::Binary(Binary::Add | Binary::Sub | Binary::Mul | Binary::Greater) | Op::Select
    )
}

/// Whether a few quick operations give `id` from single numbers and from one value that
/// will have memory, or be computed everywhere, whatever becomes of `id`.
fn reads_one(graph: &Graph, fates: &[Fate], users: &[Vec<NodeId>], id: NodeId) -> bool {
    let is_number = |id: NodeId| match graph.node(id).op {
        Op::Constant(_) => true,
        Op::Broadcast => graph.shape(graph.node(id).inputs[0]).numel() == 1,
        _ => false,
    };
    let (mut made, mut read) = (BTreeSet::from([id]), BTreeSet::new());
    let mut stack = vec![id];
    while let Some(next) = stack.pop() {
        let inputs = graph.node(next).inputs.iter().copied();
        for input in inputs.filter(|&input| !is_number(input)) {
            // Users in front of `id` are not known yet.
            let others = users[input.0].iter().copied();
            let others: Vec<NodeId> = others.filter(|user| !made.contains(user)).collect();
            let is_shared = !others.is_empty() && common_kernel(graph, fates, &others).is_none();
            let op = &graph.node(input).op;
            if is_shared || !op.is_elementwise() {
                read.insert(input);
            } else if !is_quick(op) {
                return false;
            } else if made.insert(input) {
                stack.push(input);
            }
        }
    }
    read.len() <= 1 && made.len() <= FEW
}

/// Kernels that compute an expression of their inputs, element by element.
fn takes_cluster(op: &Op) -> bool {
    matches!(op.class(), Class::Elementwise | Class::Reduction)
}

/// Kernels with an epilogue.
fn is_contraction(op: &Op) -> bool {
    op.class() == Class::Contraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;
    use crate::graph::{Role, Unary};

    fn state(graph: &mut Graph, name: &str, shape: &[usize]) -> NodeId {
        let id = graph.declare(name, shape, Role::Input);
        graph.state(id.expect("a new name"))
    }

    #[test]
    fn what_one_value_gives_in_a_few_operations_is_repeated() -> Result<()> {
        let mut graph = Graph::new();
        let x = state(&mut graph, "x", &[64]);
        let slope = state(&mut graph, "slope", &[1]);
        let y = graph.unary(Unary::Exp, x);
        let [zero, one] = [0.0, 1.0].map(|number| graph.constant(number, [64]));
        let positive = graph.binary(Binary::Greater, y, zero)?;
        let factor = graph.select(positive, one, slope)?;
        let forward = graph.mul(y, factor)?;
        let product = graph.mul(x, y)?;
        let backward = graph.mul(x, factor)?;
        let of_slope = graph.select(positive, zero, product)?;
        let of_slope = graph.sum(of_slope, &[0])?;
        let fusion = Fusion::of(&graph, &[forward, backward, of_slope]);
        assert_eq!(fusion.fate(y), Fate::Memory);
        assert_eq!(fusion.fate(positive), Fate::Everywhere);
        assert_eq!(fusion.fate(factor), Fate::Everywhere);
        assert_eq!(fusion.fate(product), Fate::Inside(of_slope));
        Ok(())
    }

    #[test]
    fn what_reads_more_than_itself_is_stored() -> Result<()> {
        let mut graph = Graph::new();
        let [x, mean, scale] = ["x", "mean", "scale"].map(|name| state(&mut graph, name, &[64]));
        let apart = graph.sub(x, mean)?;
        let scaled = graph.mul(apart, scale)?;
        let shifted = graph.add(scaled, mean)?;
        let users = [Unary::Exp, Unary::Sqrt].map(|f| graph.unary(f, shifted));
        let fusion = Fusion::of(&graph, &users);
        assert_eq!(fusion.fate(shifted), Fate::Memory);
        assert_eq!(fusion.fate(apart), Fate::Inside(shifted));
        Ok(())
    }

    #[test]
    fn many_operations_are_not_repeated() -> Result<()> {
        let mut graph = Graph::new();
        let x = state(&mut graph, "x", &[64]);
        let mut grown = vec![x];
        for _ in 0..=FEW {
            let last = grown[grown.len() - 1];
            grown.push(graph.mul(last, last)?);
        }
        let fates = |operations: usize| {
            let mut graph = graph.clone();
            let users = [Unary::Exp, Unary::Sqrt].map(|f| graph.unary(f, grown[operations]));
            Fusion::of(&graph, &users).fate(grown[operations])
        };
        assert_eq!(fates(FEW), Fate::Everywhere);
        assert_eq!(fates(FEW + 1), Fate::Memory);
        Ok(())
    }
}
