//! The steps of a run as a picture: from left to right, each behind those that it needs.
//!
//! ```text
//! level 0        1              2            a step stands in the column of its level;
//! ┌─────────┐    ┌─────────┐                 an edge that other edges imply is not drawn;
//! │ release │───▶│ process │───┐             an edge over several columns has a place of
//! └─────────┘    └─────────┘   │ ┌───────┐   its own in each (a bend), so that it runs
//! ┌─────────┐                  ├▶│ route │   between the boxes and not behind them
//! │ data    │─────(bend)───────┘ └───────┘
//! └─────────┘
//! ```
//!
//! This is the layered drawing of Sugiyama, Tagawa and Toda (1981), with the barycentre rule for the order
//! within a column.

use super::html::{Html, cut};
use super::story::Story;

/// The size of a box, the room between boxes, and the height of a bend, in pixels.
const WIDTH: f64 = 214.0;
const HEIGHT: f64 = 52.0;
const GAP_X: f64 = 48.0;
const GAP_Y: f64 = 16.0;
const BEND: f64 = 12.0;
const MARGIN: f64 = 8.0;

/// Above so many steps nobody finds anything in a picture, and the table of steps says the same.
pub(super) const MAX_STEPS: usize = 300;

/// Draws the graph; `false` where there is nothing that can be drawn.
pub(super) fn draw(html: &mut Html, story: &Story<'_>) -> bool {
    let steps = &story.run.plan.steps;
    let Ok(graph) = story.run.plan.graph() else { return false };
    if steps.is_empty() || steps.len() > MAX_STEPS {
        return false;
    }
    let layout = Layout::new(&graph.levels(), &direct_needs(&graph));
    html.put(
        "<svg class=\"graph\" role=\"img\" aria-labelledby=\"graph-title\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {} {}\">\
         <title id=\"graph-title\">The graph of steps; the table of steps below says the same in words.</title>",
        &[&layout.width, &layout.height, &layout.width, &layout.height],
    );
    html.raw("<defs>");
    for kind in ["", " critical"] {
        html.put(
            "<marker id=\"arrow{}\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerUnits=\"userSpaceOnUse\" \
             markerWidth=\"9\" markerHeight=\"9\" orient=\"auto\"><path class=\"arrow{}\" d=\"M0 0.5 L7.5 4 L0 7.5 z\"/></marker>",
            &[&kind.replace(' ', "-"), &kind],
        );
    }
    html.raw("</defs>");
    for edge in &layout.edges {
        let critical = story.critical[edge.from] && story.critical[edge.to];
        let (class, arrow) = if critical { (" critical", "-critical") } else { ("", "") };
        html.put(
            "<path class=\"edge{}\" d=\"{}\" marker-end=\"url(#arrow{})\"/>",
            &[&class, &layout.path(edge), &arrow],
        );
    }
    for (i, step) in steps.iter().enumerate() {
        let (x, y) = layout.places[i];
        let mark = story.mark(i);
        let time = story.took(i).map_or_else(String::new, |ms| format!(" · {}", super::html::duration(ms)));
        let critical = if story.critical[i] { ", on the critical path" } else { "" };
        html.put(
            "<g class=\"node {}{}\" transform=\"translate({} {})\"><title>{}: {}, {}{}{}</title>",
            &[
                &mark.class(),
                &if story.critical[i] { " critical" } else { "" },
                &x,
                &y,
                step.address(),
                &step.change.action,
                &mark.word(),
                &time,
                &critical,
            ],
        );
        html.put("<rect width=\"{}\" height=\"{}\" rx=\"7\"/>", &[&WIDTH, &HEIGHT]);
        html.put("<use href=\"#i-{}\" x=\"10\" y=\"16\" width=\"20\" height=\"20\"/>", &[&mark.class()]);
        html.put("<text x=\"38\" y=\"22\" class=\"name\">{}</text>", &[&cut(step.address().as_str(), 22)]);
        html.put("<text x=\"38\" y=\"40\" class=\"sub\">{}{}</text></g>", &[&step.change.action, &time]);
    }
    html.raw("</svg>");
    true
}

/// For each step, the steps that it needs, without those that another one that it needs, needs anyway.
fn direct_needs(graph: &code_core::graph::Graph) -> Vec<Vec<usize>> {
    let count = graph.len();
    // reach[i]: everything that `i` needs, near or far.
    let mut reach = vec![vec![false; count]; count];
    let mut direct = vec![Vec::new(); count];
    for node in graph.order() {
        let node = *node as usize;
        let needs: Vec<usize> = graph.needs(node).iter().map(|n| *n as usize).collect();
        let mut far = vec![false; count];
        for needed in &needs {
            for (all, near) in far.iter_mut().zip(&reach[*needed]) {
                *all |= *near;
            }
        }
        direct[node] = needs.iter().copied().filter(|needed| !far[*needed]).collect();
        for needed in needs {
            far[needed] = true;
        }
        reach[node] = far;
    }
    direct
}

/// Where everything is drawn.
#[derive(Debug)]
struct Layout {
    /// The upper left corner of each box; then the bends of edges (their left end).
    places: Vec<(f64, f64)>,
    edges: Vec<Edge>,
    width: f64,
    height: f64,
}

/// An edge from a needed step to the one that needs it, and the bends on its way.
#[derive(Debug)]
struct Edge {
    from: usize,
    to: usize,
    bends: Vec<usize>,
}

impl Layout {
    fn new(levels: &[u32], needs: &[Vec<usize>]) -> Layout {
        let steps = levels.len();
        let mut columns = vec![Vec::new(); levels.iter().max().map_or(0, |most| *most as usize + 1)];
        for (step, level) in levels.iter().enumerate() {
            columns[*level as usize].push(step);
        }
        // A bend for each column that an edge passes; bends are numbered after the steps.
        let mut edges = Vec::new();
        let mut before: Vec<Vec<usize>> = vec![Vec::new(); steps];
        for (to, needs) in needs.iter().enumerate() {
            for from in needs {
                let mut bends = Vec::new();
                let mut last = *from;
                for column in &mut columns[levels[*from] as usize + 1..levels[to] as usize] {
                    let bend = before.len();
                    before.push(vec![last]);
                    column.push(bend);
                    bends.push(bend);
                    last = bend;
                }
                before[to].push(last);
                edges.push(Edge { from: *from, to, bends });
            }
        }
        order(&mut columns, &before);

        let size = |node: usize| if node < steps { HEIGHT } else { BEND };
        let tall = |column: &[usize]| column.iter().map(|n| size(*n) + GAP_Y).sum::<f64>() - GAP_Y;
        let tallest = columns.iter().map(|column| tall(column)).fold(HEIGHT, f64::max);
        let mut places = vec![(0.0, 0.0); before.len()];
        for (level, column) in columns.iter().enumerate() {
            let mut y = MARGIN + (tallest - tall(column)) / 2.0;
            for node in column {
                places[*node] = (MARGIN + level as f64 * (WIDTH + GAP_X), y.round());
                y += size(*node) + GAP_Y;
            }
        }
        let width = 2.0 * MARGIN + columns.len() as f64 * (WIDTH + GAP_X) - GAP_X;
        Layout { places, edges, width, height: tallest + 2.0 * MARGIN }
    }

    /// The edge as the data of an SVG path: curves between the columns, straight through a bend.
    fn path(&self, edge: &Edge) -> String {
        let (x, y) = self.places[edge.from];
        let (mut x, mut y) = (x + WIDTH, y + HEIGHT / 2.0);
        let mut path = format!("M{x} {y}");
        let mut curve = |to_x: f64, to_y: f64, then: f64| {
            let middle = (x + to_x) / 2.0;
            path.push_str(&format!(" C{middle} {y} {middle} {to_y} {to_x} {to_y}"));
            if then > 0.0 {
                path.push_str(&format!(" h{then}"));
            }
            (x, y) = (to_x + then, to_y);
        };
        for bend in &edge.bends {
            let (x, y) = self.places[*bend];
            curve(x, y + BEND / 2.0, WIDTH);
        }
        let (x, y) = self.places[edge.to];
        curve(x - 2.0, y + HEIGHT / 2.0, 0.0);
        path
    }
}

/// Puts each column in the order of where its nodes' neighbours stand, a few times forth and back.
fn order(columns: &mut [Vec<usize>], before: &[Vec<usize>]) {
    let mut after = vec![Vec::new(); before.len()];
    for (node, needs) in before.iter().enumerate() {
        for needed in needs {
            after[*needed].push(node);
        }
    }
    let mut place = vec![0.0; before.len()];
    let note = |column: &[usize], place: &mut Vec<f64>| {
        for (i, node) in column.iter().enumerate() {
            // Relative to the middle, as columns are drawn centred.
            place[*node] = i as f64 - (column.len() as f64 - 1.0) / 2.0;
        }
    };
    columns.iter().for_each(|column| note(column, &mut place));
    for round in 0..6 {
        let forth = round % 2 == 0;
        let neighbours = if forth { before } else { after.as_slice() };
        for step in 0..columns.len() {
            let column = &mut columns[if forth { step } else { columns.len() - 1 - step }];
            let wanted = |node: &usize| match neighbours[*node].as_slice() {
                [] => place[*node],
                near => near.iter().map(|n| place[*n]).sum::<f64>() / near.len() as f64,
            };
            let mut sorted: Vec<(f64, usize)> = column.iter().map(|node| (wanted(node), *node)).collect();
            sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
            *column = sorted.into_iter().map(|(_, node)| node).collect();
            note(column, &mut place);
        }
    }
}

#[cfg(test)]
mod tests {
    use code_core::graph::Graph;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_implied_edge_is_not_drawn() {
        let graph = Graph::new(3, [(1, 0), (2, 1), (2, 0)]).unwrap();
        assert_eq!(direct_needs(&graph), [vec![], vec![0], vec![1]]);
    }

    #[test]
    fn a_long_edge_runs_between_the_boxes() {
        // 0 ← 1 ← 2, and 4 needs 2 and 3, which needs nothing: its edge passes two columns.
        let graph = Graph::new(5, [(1, 0), (2, 1), (4, 2), (4, 3)]).unwrap();
        let layout = Layout::new(&graph.levels(), &direct_needs(&graph));
        let long = layout.edges.iter().find(|edge| edge.from == 3).unwrap();
        assert_eq!(long.bends.len(), 2);
        for bend in &long.bends {
            let (x, y) = layout.places[*bend];
            for (i, (left, top)) in layout.places.iter().enumerate().take(5) {
                assert!(x != *left || y + BEND <= *top || y >= top + HEIGHT, "bend over box {i}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_two_boxes_overlap_and_all_edges_go_right(
            nodes in 1usize..25,
            edges in proptest::collection::vec((0usize..25, 0usize..25), 0..60),
        ) {
            let edges = edges.into_iter().map(|(a, b)| (a % nodes, b % nodes)).filter(|(a, b)| a > b);
            let graph = Graph::new(nodes, edges).unwrap();
            let layout = Layout::new(&graph.levels(), &direct_needs(&graph));
            for (i, (x, y)) in layout.places.iter().enumerate().take(nodes) {
                prop_assert!(*x >= 0.0 && x + WIDTH <= layout.width);
                prop_assert!(*y >= 0.0 && y + HEIGHT <= layout.height);
                for (left, top) in &layout.places[..i] {
                    prop_assert!((x - left).abs() >= WIDTH || (y - top).abs() >= HEIGHT);
                }
            }
            for edge in &layout.edges {
                prop_assert!(layout.places[edge.from].0 + WIDTH < layout.places[edge.to].0);
            }
        }
    }
}
