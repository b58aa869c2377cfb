//! The network namespaces that a declared state names: opened here, and told to the hosts.

use std::sync::Arc;
use std::time::Instant;

use super::Engine;
use super::members::{HOME, Member, Members};
use crate::host::Opened;
use crate::model::netns::NamedNetns;
use crate::ring::{NamespaceError, Netns, OpenNetns};

impl Engine {
    /// From now on these are looked for, in the namespace that the engine was opened in.
    pub(crate) fn look_for(&mut self, names: &Arc<[Arc<str>]>) {
        let is_any_named = names.iter().any(|name| !name.contains('/'));
        let told = match is_any_named {
            true => self.ring.watch_names(),
            false => Ok(()),
        };
        if let Err(error) = &told {
            tracing::warn!(%error, "names of network namespaces are looked at by the clock alone");
        }
        self.members.home_mut().host.look_for(names, told.is_ok());
        self.members.activate(HOME);
    }
}

impl Members {
    /// Names came to or went from `/run/netns`.
    pub(super) fn handle_names_changed(&mut self) {
        for slot in self.slots() {
            if self.get_mut(slot).is_some_and(|member| member.host.handle_names_changed()) {
                self.activate(slot);
            }
        }
    }
}

impl Member {
    /// Opens what the host is to know of or to make something in, and closes what it does not need
    /// any more.
    pub(super) fn open_namespaces(&mut self, now: Instant) {
        while let Some((number, name)) = self.host.poll_open(now) {
            let opened = match OpenNetns::open(&Netns::parse(&name)) {
                // Whoever makes it is not done yet.
                Ok(netns) if !netns.is_namespace() => Opened::Not(NamedNetns::Absent),
                Ok(netns) if netns.identity().is_some_and(|it| Some(it) == self.identity) => {
                    Opened::Not(NamedNetns::Here)
                }
                Ok(netns) => {
                    let fd = netns.number();
                    self.open.push((number, netns));
                    Opened::Fd(fd)
                }
                Err(NamespaceError::NotFound { .. }) => Opened::Not(NamedNetns::Absent),
                Err(NamespaceError::Open { errno, .. }) => {
                    Opened::Not(NamedNetns::Refused { errno })
                }
                Err(_) => Opened::Not(NamedNetns::Refused { errno: libc::EINVAL }),
            };
            self.host.handle_opened(now, number, opened);
        }
        self.close_namespaces();
    }

    /// An open one does not end, so none is kept for longer than it is of use.
    pub(super) fn close_namespaces(&mut self) {
        let host = &self.host;
        self.open.retain(|(number, netns)| host.needs(*number, netns.number()));
    }
}
