//! Ids and edges, and nothing else: order, levels, the critical path, pictures.
//!
//! A [`Graph`] is made once and never changes. Outside it speaks in pairs `(node, needed)`; inside it is
//! compressed sparse rows, two arrays for each direction, so that a node's neighbours lie side by side.

use std::fmt::Write as _;

use petgraph::graph::{DiGraph, NodeIndex};

/// A directed graph without cycles over the nodes `0..len`.
#[derive(Clone, Debug)]
pub struct Graph {
    needs: Rows,
    needed_by: Rows,
    order: Vec<u32>,
}

/// Compressed sparse rows: the neighbours of `i` are `targets[starts[i]..starts[i + 1]]`.
#[derive(Clone, Debug)]
struct Rows {
    starts: Vec<u32>,
    targets: Vec<u32>,
}

impl Rows {
    fn new(nodes: usize, edges: &[(u32, u32)]) -> Rows {
        let mut starts = vec![0u32; nodes + 1];
        for (from, _) in edges {
            starts[*from as usize + 1] += 1;
        }
        for i in 0..nodes {
            starts[i + 1] += starts[i];
        }
        let mut next = starts.clone();
        let mut targets = vec![0; edges.len()];
        for (from, to) in edges {
            targets[next[*from as usize] as usize] = *to;
            next[*from as usize] += 1;
        }
        Rows { starts, targets }
    }

    fn of(&self, node: usize) -> &[u32] {
        &self.targets[self.starts[node] as usize..self.starts[node + 1] as usize]
    }
}

/// The nodes of a cycle, each needing the next, and the first again at the end.
pub type Cycle = Vec<usize>;

impl Graph {
    /// A graph of `nodes` nodes and these edges `(node, needed)`; a double edge counts once.
    ///
    /// # Errors
    /// A cycle, where there is one.
    ///
    /// # Panics
    /// Where an edge names a node that is not there.
    pub fn new(nodes: usize, edges: impl IntoIterator<Item = (usize, usize)>) -> Result<Graph, Cycle> {
        let mut pairs: Vec<(u32, u32)> = edges.into_iter().map(|(a, b)| (a as u32, b as u32)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let needs = Rows::new(nodes, &pairs);
        let back: Vec<(u32, u32)> = pairs.iter().map(|(a, b)| (*b, *a)).collect();
        let needed_by = Rows::new(nodes, &back);

        // Kahn's algorithm; the first that is free comes first, so that the order does not depend on luck.
        let mut open: Vec<u32> = (0..nodes).map(|i| needs.of(i).len() as u32).collect();
        let mut order: Vec<u32> = (0..nodes as u32).filter(|i| open[*i as usize] == 0).collect();
        let mut at = 0;
        while at < order.len() {
            for next in needed_by.of(order[at] as usize) {
                open[*next as usize] -= 1;
                if open[*next as usize] == 0 {
                    order.push(*next);
                }
            }
            at += 1;
        }
        if order.len() == nodes {
            return Ok(Graph { needs, needed_by, order });
        }
        let all = pairs.iter().map(|(a, b)| (*a as usize, *b as usize));
        Err(find_cycle(nodes, all).unwrap_or_default())
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The nodes that a node needs.
    pub fn needs(&self, node: usize) -> &[u32] {
        self.needs.of(node)
    }

    /// The nodes that need a node.
    pub fn needed_by(&self, node: usize) -> &[u32] {
        self.needed_by.of(node)
    }

    /// All nodes, each after those that it needs.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// The same nodes with every edge turned round: the order of taking down.
    #[must_use]
    pub fn reversed(&self) -> Graph {
        let order = self.order.iter().rev().copied().collect();
        Graph { needs: self.needed_by.clone(), needed_by: self.needs.clone(), order }
    }

    /// For each node, how many edges its longest chain of needed nodes has.
    pub fn levels(&self) -> Vec<u32> {
        let mut levels = vec![0; self.len()];
        for node in &self.order {
            let below = self.needs(*node as usize).iter().map(|n| levels[*n as usize] + 1).max();
            levels[*node as usize] = below.unwrap_or(0);
        }
        levels
    }

    /// For each node, the longest time from its start to the end of all: the upward rank of HEFT (Topcuoglu,
    /// Hariri and Wu, 2002). Starting the ready node of the highest rank first follows the critical path.
    pub fn upward_ranks(&self, durations: &[f64]) -> Vec<f64> {
        let mut ranks = vec![0.0; self.len()];
        for node in self.order.iter().rev() {
            let node = *node as usize;
            let after = self.needed_by(node).iter().map(|n| ranks[*n as usize]).fold(0.0, f64::max);
            ranks[node] = durations.get(node).copied().unwrap_or(0.0) + after;
        }
        ranks
    }

    /// The chain of nodes that decides how long all of it takes.
    pub fn critical_path(&self, durations: &[f64]) -> Vec<usize> {
        let ranks = self.upward_ranks(durations);
        let highest = |nodes: &mut dyn Iterator<Item = usize>| {
            nodes.max_by(|a, b| ranks[*a].total_cmp(&ranks[*b]).then(b.cmp(a)))
        };
        let mut path = Vec::new();
        let mut next = highest(&mut (0..self.len()).filter(|n| self.needs(*n).is_empty()));
        while let Some(node) = next {
            path.push(node);
            next = highest(&mut self.needed_by(node).iter().map(|n| *n as usize));
        }
        path
    }

    /// The graph in the DOT language of Graphviz.
    pub fn to_dot(&self, label: &dyn Fn(usize) -> String) -> String {
        let mut text = String::from("digraph plan {\n  rankdir=LR;\n  node [shape=box];\n");
        for node in 0..self.len() {
            let _ = writeln!(text, "  n{node} [label={}];", serde_json::Value::String(label(node)));
        }
        for node in 0..self.len() {
            for needed in self.needs(node) {
                let _ = writeln!(text, "  n{needed} -> n{node};");
            }
        }
        text + "}\n"
    }

    /// The graph as a Mermaid flowchart.
    pub fn to_mermaid(&self, label: &dyn Fn(usize) -> String) -> String {
        let mut text = String::from("flowchart LR\n");
        for node in 0..self.len() {
            let _ = writeln!(text, "  n{node}[\"{}\"]", label(node).replace('"', "#quot;"));
        }
        for node in 0..self.len() {
            for needed in self.needs(node) {
                let _ = writeln!(text, "  n{needed} --> n{node}");
            }
        }
        text
    }
}

/// A cycle of these edges `(node, needed)`, where there is one: the shortest through the first node that is
/// on any.
pub fn find_cycle(nodes: usize, edges: impl IntoIterator<Item = (usize, usize)>) -> Option<Cycle> {
    let mut graph = DiGraph::<(), ()>::with_capacity(nodes, 0);
    for _ in 0..nodes {
        graph.add_node(());
    }
    for (a, b) in edges {
        graph.update_edge(NodeIndex::new(a), NodeIndex::new(b), ());
    }
    if let Some(node) = graph.node_indices().find(|n| graph.contains_edge(*n, *n)) {
        return Some(vec![node.index(), node.index()]);
    }
    let knots = petgraph::algo::tarjan_scc(&graph);
    let start = knots.iter().filter(|knot| knot.len() > 1).flatten().min().copied()?;
    // Breadth first from `start` back to itself.
    let mut came_from = vec![None; nodes];
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        let mut next: Vec<_> = graph.neighbors(node).collect();
        next.sort();
        for next in next {
            if next == start {
                let mut cycle = vec![start.index(), node.index()];
                let mut at = node;
                while let Some(before) = came_from[at.index()] {
                    at = before;
                    cycle.push(NodeIndex::<u32>::index(at));
                }
                cycle.reverse();
                return Some(cycle);
            }
            if came_from[next.index()].is_none() {
                came_from[next.index()] = Some(node);
                queue.push_back(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A diamond: 3 needs 1 and 2, which need 0.
    fn diamond() -> Graph {
        Graph::new(4, [(1, 0), (2, 0), (3, 1), (3, 2), (3, 2)]).unwrap()
    }

    #[test]
    fn a_diamond() {
        let graph = diamond();
        assert_eq!(graph.order(), [0, 1, 2, 3]);
        assert_eq!(graph.needs(3), [1, 2]);
        assert_eq!(graph.needed_by(0), [1, 2]);
        assert_eq!(graph.levels(), [0, 1, 1, 2]);
        assert_eq!(graph.critical_path(&[1.0, 1.0, 5.0, 1.0]), [0, 2, 3]);
        assert_eq!(graph.upward_ranks(&[1.0, 1.0, 5.0, 1.0]), [7.0, 2.0, 6.0, 1.0]);
        assert_eq!(graph.reversed().needs(0), [1, 2]);
    }

    #[test]
    fn a_cycle_is_named() {
        assert_eq!(Graph::new(3, [(0, 1), (1, 2), (2, 1)]).unwrap_err(), [1, 2, 1]);
        assert_eq!(Graph::new(1, [(0, 0)]).unwrap_err(), [0, 0]);
    }

    #[test]
    fn pictures() {
        let label = |i: usize| format!("step \"{i}\"");
        assert!(diamond().to_dot(&label).contains("n0 [label=\"step \\\"0\\\"\"];"));
        assert!(diamond().to_mermaid(&label).contains("n2 --> n3"));
    }

    proptest! {
        #[test]
        fn every_node_comes_after_what_it_needs_or_a_cycle_is_shown(
            nodes in 1usize..30,
            edges in proptest::collection::vec((0usize..30, 0usize..30), 0..80),
        ) {
            let edges: Vec<_> = edges.into_iter().map(|(a, b)| (a % nodes, b % nodes)).collect();
            match Graph::new(nodes, edges.clone()) {
                Ok(graph) => {
                    let mut place = vec![0; nodes];
                    for (i, node) in graph.order().iter().enumerate() {
                        place[*node as usize] = i;
                    }
                    prop_assert!(edges.iter().all(|(node, needed)| place[*needed] < place[*node]));
                    prop_assert_eq!(graph.order().len(), nodes);
                }
                Err(cycle) => {
                    prop_assert!(cycle.len() >= 2 && cycle.first() == cycle.last());
                    prop_assert!(cycle.windows(2).all(|pair| edges.contains(&(pair[0], pair[1]))));
                }
            }
        }
    }
}
