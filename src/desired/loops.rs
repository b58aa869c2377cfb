//! Circles among declared links: the kernel refuses the link that would close one.

use super::builder::LinkDeclaration;
use super::joint::key_of;
use crate::model::hash::HashMap;
use crate::model::kind::ValueType;
use crate::model::text::LinkName;

/// How many links of a circle a message names.
const NAMES_MAX: usize = 6;

/// A circle.
pub(super) struct Loop {
    /// The link whose key closes it.
    pub(super) index: usize,
    /// That key.
    pub(super) key: &'static str,
    /// Its links from above to below; the first again at the end, unless they are too many.
    pub(super) names: Vec<String>,
}

/// That one link stands on another, and which link's key says so.
struct Edge {
    below: usize,
    said_by: usize,
    key: &'static str,
}

/// One circle for each link key that closes one. A link that names itself is told elsewhere.
pub(super) fn find(links: &[LinkDeclaration], by_name: &HashMap<LinkName, usize>) -> Vec<Loop> {
    let edges = edges(links, by_name);
    let mut state = vec![Visit::Unseen; links.len()];
    let mut loops = Vec::new();
    // The path from the root to where the walk is: each link, and which edge comes next.
    let mut path: Vec<(usize, usize)> = Vec::new();
    for root in 0..links.len() {
        if state[root] == Visit::Unseen {
            state[root] = Visit::OnPath;
            path.push((root, 0));
        }
        while let Some((at, next)) = path.last_mut() {
            let Some(edge) = edges[*at].get(*next) else {
                state[*at] = Visit::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match state[edge.below] {
                Visit::Done => {}
                Visit::Unseen => {
                    state[edge.below] = Visit::OnPath;
                    path.push((edge.below, 0));
                }
                Visit::OnPath => loops.push(Loop {
                    index: edge.said_by,
                    key: edge.key,
                    names: names(&path, edge.below, links),
                }),
            }
        }
    }
    loops
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    Unseen,
    OnPath,
    Done,
}

/// By link, what it stands on: its lower link, and its ports.
fn edges(links: &[LinkDeclaration], by_name: &HashMap<LinkName, usize>) -> Vec<Vec<Edge>> {
    let mut edges: Vec<Vec<Edge>> = links.iter().map(|_| Vec::new()).collect();
    for (index, link) in links.iter().enumerate() {
        let find = |name| by_name.get(&name).copied().filter(|&found| found != index);
        let lower = link.settings.and_then(|settings| settings.lower());
        if let Some(below) = lower.and_then(find) {
            edges[index].push(Edge { below, said_by: index, key: key_of(link, ValueType::Lower) });
        }
        if let Some(master) = link.master.and_then(find) {
            edges[master].push(Edge { below: index, said_by: index, key: "master" });
        }
    }
    edges
}

/// The names on the path from `first` on, and `first` again.
fn names(path: &[(usize, usize)], first: usize, links: &[LinkDeclaration]) -> Vec<String> {
    let circle = path.iter().map(|(at, _)| *at);
    let circle = circle.skip_while(|at| *at != first).chain([first]);
    let mut names: Vec<_> =
        circle.take(NAMES_MAX + 1).map(|at| links[at].name.to_string()).collect();
    if names.len() > NAMES_MAX {
        names[NAMES_MAX] = "...".to_owned();
    }
    names
}
