//! Gives the event sockets what the kernel is to hold back.

use std::time::Instant;

use super::{Engine, EngineError};
use crate::limits::FILTER_DESTINATIONS_MAX;
use crate::model::filter::Filter;
use crate::model::network::{Table, Tables};
use crate::ring::{Ring, SocketId};
use crate::wire::filter::{self, Instruction};

impl Engine {
    /// Watches what `filter` wants from now on, in every namespace. The kernel has it before the
    /// tables are dumped, so nothing falls between the two; what it cannot have it leaves to the
    /// mirror.
    pub(crate) fn set_filter(&mut self, filter: &Filter) {
        if self.options.filter == *filter {
            return;
        }
        self.options.filter = filter.clone();
        let now = Instant::now();
        for slot in self.members.slots() {
            if let Some(member) = self.members.get_mut(slot) {
                attach(&mut self.ring, member.events, filter);
                member.host.set_filter(now, filter.clone());
            }
            self.members.refresh(slot);
            self.members.activate(slot);
        }
    }

    /// Follows these tables too from now on, in every namespace. Their groups are joined before
    /// they are dumped, so nothing falls between the two.
    pub(crate) fn follow(&mut self, tables: Tables) -> Result<(), EngineError> {
        let before = self.options.tables;
        self.options.tables = before.and(tables);
        if self.options.tables == before {
            return Ok(());
        }
        let now = Instant::now();
        for slot in self.members.slots() {
            if let Some(member) = self.members.get_mut(slot) {
                for group in self.options.groups() {
                    self.ring.join(member.events, group)?;
                }
                member.host.follow(now, self.options.tables);
            }
            self.members.refresh(slot);
            self.members.activate(slot);
        }
        Ok(())
    }

    /// Does without the routes that its own namespace holds, until they are followed.
    pub(crate) fn spare_routes(&mut self) {
        let now = self.now();
        if self.host_mut().spare_routes(now) {
            self.options.tables = self.options.tables.without(Table::Routes);
        }
    }

    /// Whether all of these tables are followed.
    pub(crate) fn follows(&self, tables: Tables) -> bool {
        self.options.tables.and(tables) == self.options.tables
    }
}

/// Lets the kernel hold back the news of routes that the requests of `port` make, or of none;
/// whether it does. Where it takes no program they are heard, which is right too.
pub(super) fn hold_back(ring: &mut Ring, socket: SocketId, port: Option<u32>) -> bool {
    let program = port.map(filter::without_routes_of);
    let program: Option<Vec<_>> = program.map(|it| it.into_iter().map(sock_filter).collect());
    match ring.set_filter(socket, program.as_deref()) {
        Ok(()) => program.is_some(),
        Err(errno) => {
            tracing::debug!(errno, "the news of our own routes are heard");
            false
        }
    }
}

/// Gives the kernel the most exact program that it takes; where it takes none, all pass.
pub(super) fn attach(ring: &mut Ring, socket: SocketId, filter: &Filter) {
    let mut errno = 0;
    for destinations_max in FILTER_DESTINATIONS_MAX {
        let Some(program) = filter::program(filter, destinations_max) else { break };
        let program: Vec<_> = program.into_iter().map(sock_filter).collect();
        match ring.set_filter(socket, Some(&program)) {
            Ok(()) => return,
            Err(error) => errno = error,
        }
        // The old one may take the room; without it more passes, and nothing is missed.
        if ring.set_filter(socket, None).is_err() {
            break;
        }
    }
    if errno != 0 {
        tracing::warn!(errno, "the kernel takes no filter; everything is read and looked at");
    }
    let detached = ring.set_filter(socket, None);
    debug_assert_eq!(detached, Ok(()), "a filter that is not locked can be taken away");
}

/// An instruction as the ring takes it.
fn sock_filter(Instruction { code, jt, jf, k }: Instruction) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}
