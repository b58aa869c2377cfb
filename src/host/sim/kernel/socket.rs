//! A socket's receive queue, which overruns as the kernel's does (`netlink_overrun` and
//! `netlink_rcv_wake` in net/netlink/af_netlink.c).

use std::collections::VecDeque;

#[derive(Debug)]
pub(in super::super) struct Socket {
    queue: VecDeque<Vec<u8>>,
    pub(in super::super) len_max: usize,
    /// Everything is dropped until the queue has been read empty.
    is_congested: bool,
    /// ENOBUFS, to be told before what is queued.
    has_error: bool,
    /// Since it was last told.
    dropped: u64,
}

/// What a read brings.
#[derive(Debug)]
pub(in super::super) enum Read {
    Datagram(Vec<u8>),
    /// ENOBUFS, and how much was dropped since it last came.
    Overrun(u64),
}

impl Socket {
    pub(super) fn new(len_max: usize) -> Self {
        let queue = VecDeque::new();
        Self { queue, len_max, is_congested: false, has_error: false, dropped: 0 }
    }

    pub(in super::super) fn read(&mut self) -> Option<Read> {
        if std::mem::take(&mut self.has_error) {
            return Some(Read::Overrun(std::mem::take(&mut self.dropped)));
        }
        let datagram = self.queue.pop_front();
        self.is_congested &= !self.queue.is_empty();
        datagram.map(Read::Datagram)
    }

    /// ENOBUFS without a drop: an event could not be built (`rtnl_set_sk_err`).
    pub(in super::super) fn fail(&mut self) {
        self.has_error = true;
    }

    /// It is opened only now.
    pub(in super::super) fn forget(&mut self) {
        *self = Self::new(self.len_max);
    }

    pub(in super::super) fn is_silent(&self) -> bool {
        self.queue.is_empty() && !self.has_error
    }

    pub(super) fn deliver(&mut self, datagram: Vec<u8>) {
        if self.is_congested || self.queue.len() >= self.len_max {
            self.has_error |= !self.is_congested;
            self.is_congested = true;
            self.dropped += 1;
        } else {
            self.queue.push_back(datagram);
        }
    }

    /// A part of a dump is made only where there is room, so it is never dropped.
    pub(super) fn push_part(&mut self, datagram: Vec<u8>) {
        self.queue.push_back(datagram);
    }
}
