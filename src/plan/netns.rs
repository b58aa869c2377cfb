//! Pairs whose other end is in another network namespace, by what is known of that one.

use std::fmt;
use std::sync::Arc;

use super::diff::Diff;
use super::{Reason, Shown};
use crate::model::kind::{Key, Settings, Value};
use crate::model::link::Link;
use crate::model::netns::NamedNetns;
use crate::model::text::write_escaped;

impl Diff<'_> {
    /// Why a pair can be neither made nor compared yet: the namespace of its other end.
    pub(super) fn netns_obstacle(&self, settings: &Settings) -> Option<Reason> {
        let name = self.desired.namespace(settings.peer_netns()?)?;
        match self.observed.named_netns(name)? {
            NamedNetns::Absent => Some(Reason::NoSuchNetns(Arc::clone(name))),
            NamedNetns::Refused { errno } => {
                Some(Reason::NetnsRefused { netns: Arc::clone(name), errno })
            }
            NamedNetns::Here => Some(Reason::NetnsIsHere(Arc::clone(name))),
            NamedNetns::There { .. } => None,
        }
    }

    /// Why a pair that was found is not the declared one: its other end is in another namespace
    /// than that, which there must be to tell.
    pub(super) fn other_netns(&self, settings: &Settings, found: &Link) -> Option<Reason> {
        let netns = settings.peer_netns()?;
        let key = settings.kind.keys.get(settings.kind.netns_position()?)?.name;
        // Without its other end it is being deleted too.
        let is_one_of_two = found.lower != 0 || found.lower_netns.is_some();
        let is_there = match self.observed.named_netns(self.desired.namespace(netns)?) {
            Some(NamedNetns::There { nsid }) => nsid.is_some() && nsid == found.lower_netns,
            // Nobody looked for it.
            None => found.lower_netns.is_some(),
            Some(_) => true,
        };
        if is_there || !is_one_of_two {
            return None;
        }
        let from = match found.lower_netns {
            None => Shown::Word("this one"),
            Some(nsid) => match self.observed.netns_name(nsid) {
                Some(name) => name.as_bytes().into(),
                None => format!("nsid {nsid}").as_bytes().into(),
            },
        };
        Some(Reason::OnlyAtCreation { key, from, to: self.netns_shown(netns) })
    }

    /// A value of a kind's key, with what its numbers stand for.
    pub(super) fn shown(&self, key: &Key, value: Value) -> Shown {
        match value {
            Value::Netns(netns) => self.netns_shown(netns),
            _ => Shown::of(key, value, |index| self.observed.name_of(index)),
        }
    }

    fn netns_shown(&self, netns: u16) -> Shown {
        let name = self.desired.namespace(netns);
        name.map_or(Shown::Number(netns.into()), |name| name.as_bytes().into())
    }
}

/// The name of a namespace, or the path to it, as a person may read it.
pub(super) struct Netns<'a>(pub(super) &'a str);

impl fmt::Display for Netns<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_escaped(f, self.0.as_bytes())
    }
}

/// What to do where there is none: a path stands for one that something else makes.
pub(super) fn remedy(netns: &str) -> String {
    match netns.contains('/') {
        true => "; that path leads to none".to_owned(),
        false => format!("; make it: ip netns add {}", Netns(netns)),
    }
}
