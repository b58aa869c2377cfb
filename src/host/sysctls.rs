//! Settings that are written to files: one link's at a time, between two batches of requests.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Host;
use crate::model::change::Change;
use crate::model::refusal::{Outcome, Refusal};
use crate::model::text::LinkName;
use crate::session::gone;
use crate::wire::link_settings;

/// What is to be written of one link.
#[derive(Debug)]
pub(crate) struct SysctlWrites {
    pub(crate) link: LinkName,
    /// The index that the link has; 0 where it is gone.
    pub(crate) index: u32,
    pub(crate) files: Vec<(PathBuf, String)>,
    change: Change,
}

impl Host {
    /// What is to be written to files now, for [`handle_sysctls`](Self::handle_sysctls).
    pub(crate) fn poll_sysctls(&mut self, now: Instant) -> Option<SysctlWrites> {
        let (can_send, goes_on) = (self.can_send(), self.writing && self.synced && !self.halted);
        let network = self.mirror.network();
        let reconcile = self.reconcile.as_mut()?;
        // What the last one caused is still to be read: the round goes on, and no other begins.
        let step = match (can_send, goes_on) {
            (true, _) => reconcile.poll_step(now, network),
            (false, true) => reconcile.next_step(),
            (false, false) => None,
        };
        let change = &step?.change;
        let &Change::SetSysctls { link, settings } = change else {
            return None;
        };
        let change = change.clone();
        if self.counters.changes >= self.changes_max {
            self.halted = true;
            return None;
        }
        reconcile.handle_sent(network);
        self.counters.changes += 1;
        let index = network.index_of(link).unwrap_or(0);
        let files = link_settings::files(link, &settings).collect();
        Some(SysctlWrites { link, index, files, change })
    }

    /// What came of it: the file that was refused, and the kernel's number.
    pub(crate) fn handle_sysctls(
        &mut self,
        now: Instant,
        writes: &SysctlWrites,
        refused: Option<(&Path, i32)>,
    ) {
        let outcome = refused.map_or(Outcome::Done, |(path, errno)| {
            let message = match errno {
                libc::ENODEV => gone(writes.link),
                _ => format!("{}{}", path.display().to_string().escape_debug(), why(errno)).into(),
            };
            let (op, object) = (writes.change.op(), writes.change.object());
            let (message, offset, sequence) = (Some(message), None, 0);
            let refusal = Refusal { op, object, errno, message, offset, sequence };
            Outcome::Refused(refusal.into())
        });
        self.writing = true;
        self.answer(now, vec![outcome].into_iter());
    }
}

/// What a file under /proc/sys means by an error number.
fn why(errno: i32) -> &'static str {
    match errno {
        libc::ENOENT => {
            " is not there: IPv6 is off on this link, whose MTU is below 1280, or on this host"
        }
        libc::EROFS => " is on a read-only /proc/sys, as containers often have it",
        libc::EACCES => " takes root of the network namespace's user namespace",
        _ => "",
    }
}
