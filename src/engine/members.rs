//! The network namespaces of one engine: which there are, and which have something to do.
//!
//! A turn costs by those that something happened to. One that is idle costs its two sockets.

use std::time::Instant;

use crate::host::{Host, Source};
use crate::limits::BEHIND_MAX;
use crate::model::object::NetnsId;
use crate::ring::{Identity, OpenNetns, SocketId};

/// Where a namespace stands among the members; used again after it was removed.
pub(super) type Slot = usize;

/// The slot of the namespace that the engine was opened in. It is never removed.
pub(super) const HOME: Slot = 0;

/// One network namespace: its two sockets, and what is known of it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: NetnsId,
    /// How it was named when it was added.
    pub(super) name: Option<String>,
    pub(super) events: SocketId,
    pub(super) requests: SocketId,
    pub(super) host: Host,
    /// What tells it from others, where that is known.
    pub(super) identity: Option<Identity>,
    /// The declared namespaces that are open, by their numbers.
    pub(super) open: Vec<(u16, OpenNetns)>,
    pub(super) drain_turns: u32,
    /// How many datagrams the event socket brought since the turn that looked after it began.
    pub(super) brought: usize,
    /// Since when the rest of a dump waits for the event socket, if it does.
    pub(super) behind_since: Option<Instant>,
    /// Whether it was being drained when this turn began.
    pub(super) was_draining: bool,
    /// Whether the kernel holds back the news of routes that are made here.
    pub(super) is_deaf: bool,
    is_active: bool,
    is_unread: bool,
    is_busy: bool,
    timer: Option<Instant>,
}

impl Member {
    pub(super) fn new(id: NetnsId, events: SocketId, requests: SocketId, host: Host) -> Self {
        Self {
            id,
            name: None,
            events,
            requests,
            host,
            identity: None,
            open: Vec::new(),
            drain_turns: 0,
            brought: 0,
            behind_since: None,
            was_draining: false,
            is_deaf: false,
            is_active: false,
            is_unread: false,
            is_busy: false,
            timer: None,
        }
    }

    /// Whether a dump is being read that is to wait if the event socket fills.
    pub(super) fn may_be_behind(&self, now: Instant) -> bool {
        let is_patient = self.behind_since.is_none_or(|since| now < since + BEHIND_MAX);
        self.brought > 0 && is_patient && self.host.is_reading()
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Members {
    slots: Vec<Option<Member>>,
    /// Whose each socket of the ring is.
    by_socket: Vec<Option<(Slot, Source)>>,
    /// Those that the next turn looks after.
    pub(super) active: Vec<Slot>,
    /// Those whose events their owner has not read.
    pub(super) unread: Vec<Slot>,
    timers: usize,
    busy: usize,
}

impl Members {
    /// Takes one in; the next turn looks after it.
    pub(super) fn insert(&mut self, member: Member) -> Slot {
        let slot = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        for (socket, source) in
            [(member.events, Source::Events), (member.requests, Source::Replies)]
        {
            let at = usize::from(socket.0);
            if self.by_socket.len() <= at {
                self.by_socket.resize(at + 1, None);
            }
            self.by_socket[at] = Some((slot, source));
        }
        match self.slots.get_mut(slot) {
            Some(free) => *free = Some(member),
            None => self.slots.push(Some(member)),
        }
        self.activate(slot);
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Member> {
        let member = self.slots.get_mut(slot)?.take()?;
        self.timers -= usize::from(member.timer.is_some());
        self.busy -= usize::from(member.is_busy);
        for socket in [member.events, member.requests] {
            self.by_socket[usize::from(socket.0)] = None;
        }
        self.active.retain(|other| *other != slot);
        self.unread.retain(|other| *other != slot);
        Some(member)
    }

    pub(super) fn home(&self) -> &Member {
        self.slots[HOME].as_ref().expect("home is never removed")
    }

    pub(super) fn home_mut(&mut self) -> &mut Member {
        self.slots[HOME].as_mut().expect("home is never removed")
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Member> {
        self.slots.get_mut(slot)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.slots.iter().flatten()
    }

    /// The slots that are taken.
    pub(super) fn slots(&self) -> Vec<Slot> {
        let taken = self.slots.iter().enumerate().filter(|(_, member)| member.is_some());
        taken.map(|(slot, _)| slot).collect()
    }

    pub(super) fn slot_of(&self, id: NetnsId) -> Option<Slot> {
        self.slots.iter().position(|member| member.as_ref().is_some_and(|it| it.id == id))
    }

    /// Whose a socket is; none once it is closed.
    pub(super) fn owner(&self, socket: SocketId) -> Option<(Slot, Source)> {
        self.by_socket.get(usize::from(socket.0)).copied().flatten()
    }

    /// Lets the next turn look after it.
    pub(super) fn activate(&mut self, slot: Slot) {
        if let Some(Some(member)) = self.slots.get_mut(slot) {
            if !std::mem::replace(&mut member.is_active, true) {
                self.active.push(slot);
            }
        }
    }

    /// Lets the next turn look after those whose time has come.
    pub(super) fn activate_due(&mut self, now: Instant) {
        if self.timers == 0 {
            return;
        }
        for slot in 0..self.slots.len() {
            let timer = self.slots[slot].as_ref().and_then(|member| member.timer);
            if timer.is_some_and(|at| at <= now) {
                self.activate(slot);
            }
        }
    }

    /// Moves those that are to be looked after to `current`, which is empty.
    pub(super) fn take_active(&mut self, current: &mut Vec<Slot>) {
        std::mem::swap(&mut self.active, current);
        for slot in &*current {
            if let Some(Some(member)) = self.slots.get_mut(*slot) {
                member.is_active = false;
            }
        }
    }

    /// Notes what its host waits for, and whether it has told something.
    pub(super) fn refresh(&mut self, slot: Slot) {
        let Some(Some(member)) = self.slots.get_mut(slot) else {
            return;
        };
        let (timer, is_busy) = (member.host.poll_timeout(), member.host.is_busy());
        self.timers = self.timers + usize::from(timer.is_some())
            - usize::from(std::mem::replace(&mut member.timer, timer).is_some());
        self.busy = self.busy + usize::from(is_busy)
            - usize::from(std::mem::replace(&mut member.is_busy, is_busy));
        if member.host.has_events() && !std::mem::replace(&mut member.is_unread, true) {
            self.unread.push(slot);
        }
    }

    /// One whose events have not been read; it counts as read from now on.
    pub(super) fn pop_unread(&mut self) -> Option<&mut Member> {
        let slot = self.unread.pop()?;
        let member = self.slots.get_mut(slot)?.as_mut()?;
        member.is_unread = false;
        Some(member)
    }

    /// Whether an answer is awaited in any of them.
    pub(super) fn is_any_busy(&self) -> bool {
        self.busy > 0
    }

    /// When the first of their timers runs out.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.timers == 0 {
            return None;
        }
        self.iter().filter_map(|member| member.timer).min()
    }
}
