//! Compares a declared neighbour with the observed one.

use super::diff::{Diff, Subject};
use super::route::Way;
use super::{Difference, Rank, Shown};
use crate::model::change::Change;
use crate::model::neighbour::{NUD_PERMANENT, NeighbourKey};

impl Diff<'_> {
    pub(super) fn neighbour(&mut self, position: u32) {
        let desired = self.desired;
        let Some(wanted) = desired.neighbours.get(position as usize) else {
            return;
        };
        let subject = Subject::Neighbour(position);
        // The kernel forgets the neighbours of a link that goes down.
        match self.way(wanted.dev) {
            Way::Open => {}
            Way::Suspended => return self.suspend(wanted.id()),
            Way::Blocked(reason) => return self.block(subject, wanted.id(), reason),
        }
        let index = self.observed.index_of(wanted.dev);
        let address = wanted.address;
        let key = index.map(|index| NeighbourKey { index, address });
        let now = key.and_then(|key| self.observed.neighbour(key));
        let mut differences = Vec::new();
        match now {
            None => differences.push(Difference::made("mac", wanted.mac)),
            Some(now) => {
                if now.mac != Some(wanted.mac) {
                    let from = now.mac.map(Shown::Mac);
                    let to = Some(wanted.mac.into());
                    differences.push(Difference { key: "mac", from, to });
                }
                let lasts = now.state == NUD_PERMANENT;
                if !lasts {
                    let (from, to) = (Shown::Bool(false), Shown::Bool(true));
                    differences.push(Difference::new("permanent", from, to));
                }
            }
        }
        if !differences.is_empty() {
            let change = Change::PutNeighbour {
                link: wanted.dev,
                address,
                mac: wanted.mac,
                protocol: desired.protocol(),
                replace: now.is_some(),
            };
            self.step(subject, Rank::Neighbour, change, differences, Vec::new());
        }
    }
}
