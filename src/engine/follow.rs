//! Which namespaces to take in and to let go of, as the names in `/run/netns` come and go.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::limits::{NAME_LOOKS_MAX, NAME_RETRY_DELAY};
use crate::model::object::NetnsId;
use crate::ring::Identity;

/// The names that are followed.
#[derive(Debug)]
pub(super) struct Follow {
    /// The engine's own namespace, which is watched already, whatever its names.
    own: Identity,
    /// What each stands for, and as which member; none where it could not be watched.
    known: BTreeMap<String, (Identity, Option<NetnsId>)>,
    /// When to look again.
    at: Option<Instant>,
    /// How often in a row a look found something unfinished.
    looks: u32,
}

/// What a look at the names showed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Differences {
    pub(super) gone: Vec<NetnsId>,
    pub(super) come: Vec<String>,
    /// Whether a name stands for nothing yet.
    pub(super) is_unfinished: bool,
}

impl Follow {
    pub(super) fn new(own: Identity, now: Instant) -> Self {
        Self { own, known: BTreeMap::new(), at: Some(now), looks: 0 }
    }

    pub(super) fn own(&self) -> Identity {
        self.own
    }

    /// Names came or went.
    pub(super) fn handle_changed(&mut self, now: Instant) {
        self.looks = 0;
        self.at = Some(now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.at
    }

    /// Compares what is there with what is known. What is gone is known no more.
    pub(super) fn compare(&mut self, found: &BTreeMap<String, Option<Identity>>) -> Differences {
        let mut differences = Differences::default();
        self.known.retain(|name, (identity, id)| {
            let stays = found.get(name) == Some(&Some(*identity));
            if !stays {
                differences.gone.extend(*id);
            }
            stays
        });
        for (name, identity) in found {
            match identity {
                None => differences.is_unfinished = true,
                Some(identity) if *identity == self.own || self.known.contains_key(name) => {}
                Some(_) => differences.come.push(name.clone()),
            }
        }
        differences
    }

    /// That name is watched, or cannot be as long as it stands for the same.
    pub(super) fn insert(&mut self, name: String, identity: Identity, id: Option<NetnsId>) {
        self.known.insert(name, (identity, id));
    }

    /// That namespace is not watched any more, and not taken in again under the same name.
    pub(super) fn forget(&mut self, id: NetnsId) {
        for (_, known) in self.known.values_mut() {
            known.take_if(|known| *known == id);
        }
    }

    /// A look has ended. A mount makes no noise, so what was not finished is looked at again.
    pub(super) fn handle_looked(&mut self, now: Instant, is_unfinished: bool) {
        self.at = None;
        if is_unfinished && self.looks < NAME_LOOKS_MAX {
            self.at = Some(now + NAME_RETRY_DELAY * 2_u32.pow(self.looks));
            self.looks += 1;
        }
    }
}
