//! Hears when names come to and go from `/run/netns`, where `ip netns` keeps them.
//!
//! inotify(7), waited for by the ring. What exactly happened is not read out of the events: they
//! are taken as "look again", so none that is lost or overflows matters.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init, remove_watch};
use rustix::io::Errno;

use super::error::RingError;
use super::limits::NAME_READS_MAX;
use super::netns::NAMED;
use super::token::Token;

/// What a name's coming and going looks like.
const CHANGES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

pub(super) struct NameWatch {
    fd: OwnedFd,
    /// The watch of the parent folder, while the folder itself is not there.
    parent: Option<i32>,
}

impl NameWatch {
    pub(super) fn open() -> Result<NameWatch, RingError> {
        let refused = |e: Errno| RingError::from_socket("watch /run/netns", e.raw_os_error());
        let fd = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(refused)?;
        let mut watch = NameWatch { fd, parent: None };
        watch.place().map_err(refused)?;
        Ok(watch)
    }

    /// The entry that completes when something has changed. It carries no memory; the kernel
    /// holds the file until it is done or the ring is gone.
    pub(super) fn entry(&self) -> squeue::Entry {
        opcode::PollAdd::new(Fd(self.fd.as_raw_fd()), libc::POLLIN as u32)
            .build()
            .user_data(Token::Names.encode())
    }

    /// Takes what was told, so that only what comes later wakes again, and watches the folder
    /// anew: it may be another one now.
    pub(super) fn answer(&mut self) {
        let mut events = [0; 4096];
        for _ in 0..NAME_READS_MAX {
            if rustix::io::read(&self.fd, &mut events).is_err() {
                break;
            }
        }
        // It was there a moment ago; where it is not, its parent tells when it comes.
        let _ = self.place();
    }

    /// Watches the folder of names, or its parent until `ip netns` makes it.
    fn place(&mut self) -> Result<(), Errno> {
        if !self.place_on_folder()? {
            let parent = Path::new(NAMED).parent().unwrap_or(Path::new("/"));
            self.parent = Some(add_watch(self.fd.as_fd(), parent, CHANGES)?);
            // It may have come in between.
            self.place_on_folder()?;
        }
        Ok(())
    }

    fn place_on_folder(&mut self) -> Result<bool, Errno> {
        match add_watch(self.fd.as_fd(), NAMED, CHANGES) {
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno),
            Ok(_) => {
                if let Some(parent) = self.parent.take() {
                    // Refused only where the parent has gone.
                    let _ = remove_watch(self.fd.as_fd(), parent);
                }
                Ok(true)
            }
        }
    }
}
