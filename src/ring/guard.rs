//! A second process that outlives the first: it is told what to do, and hears when there is no one
//! left to tell it.
//!
//! It is a fork in a session of its own, so neither the terminal's end nor the first one's death
//! takes it along. The two are joined by a socket pair, of which the kernel closes the first one's
//! end with it. Others reach it by an abstract socket (unix(7)) of the network namespace.

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, WaitOptions, geteuid, setsid, waitpid};

use super::lock::peer;

/// The name of the socket, beside which there is one guard a namespace.
const NAME: &str = "ringlink/try";

/// How long one who connects may take to say what he wants.
const ORDER_TIMEOUT: Duration = Duration::from_secs(1);

/// What a guard is told; a letter on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The change has been made; the time to confirm it begins.
    Applied,
    /// It is to stay.
    Keep,
    /// It is to be undone; nobody left to say so says the same.
    Revert,
}

/// What came of [`start`].
pub(crate) enum Started {
    /// In the first process: its guard.
    First(Guard),
    /// In the guard.
    Guard(Post),
}

/// The guard, as the first process sees it.
#[derive(Debug)]
pub(crate) struct Guard {
    stream: UnixStream,
    pid: Pid,
}

/// The guard's own end.
#[derive(Debug)]
pub(crate) struct Post {
    first: UnixStream,
    listener: UnixListener,
    /// Who gave the latest order by the socket, and waits for what comes of it.
    asker: Option<UnixStream>,
}

/// Starts a guard. No other thread may exist yet, since a fork has only the calling one.
///
/// # Errors
///
/// `AddrInUse` where the namespace has a guard already; else what the kernel says.
pub(crate) fn start() -> io::Result<Started> {
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        let message =
            format!("a guard must be started before a second thread; there are {threads}");
        return Err(io::Error::other(message));
    }
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(NAME)?)?;
    listener.set_nonblocking(true)?;
    let (stream, first) = UnixStream::pair()?;
    // SAFETY: this is the only thread, as was just counted, so no lock is held by one that the
    // child lacks; all memory is copied.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            drop(stream);
            // It fails for the leader of a group alone, and a child is none.
            let _ = setsid();
            Ok(Started::Guard(Post { first, listener, asker: None }))
        }
        pid => {
            let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::other("fork gave no process"))?;
            Ok(Started::First(Guard { stream, pid }))
        }
    }
}

/// Ends the guard's process without what an ordinary end does: the buffers are the first one's.
pub(crate) fn leave(status: u8) -> ! {
    // SAFETY: it does not return, and nothing is done after it.
    unsafe { libc::_exit(status.into()) }
}

/// Gives an order to the guard of this network namespace, and returns what it says. `None` where
/// there is no guard.
pub(crate) fn order(order: Order) -> io::Result<Option<String>> {
    let stream = UnixStream::connect_addr(&SocketAddr::from_abstract_name(NAME)?);
    let mut stream = match stream {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(None),
        stream => stream?,
    };
    stream.write_all(&[order.letter()])?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(Some(said))
}

impl Guard {
    /// The line that the guard says when it is ready, or why it is not.
    pub(crate) fn first_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        let mut byte = [0];
        while self.stream.read(&mut byte)? == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    pub(crate) fn tell(&mut self, order: Order) -> io::Result<()> {
        self.stream.write_all(&[order.letter()])
    }

    /// Something that waits for the guard's end, on another thread.
    pub(crate) fn end(&self) -> impl FnOnce() -> Option<i32> + Send + 'static {
        let pid = self.pid;
        move || {
            let ended = waitpid(Some(pid), WaitOptions::empty()).ok()??;
            ended.1.exit_status()
        }
    }
}

impl Post {
    /// Says something to the first process.
    pub(crate) fn say(&mut self, line: &str) {
        // One that is gone does not hear it, which the next wait tells.
        let _ = writeln!(self.first, "{}", line.replace('\n', " "));
    }

    /// Tells the one who gave the order what came of it.
    pub(crate) fn answer(&mut self, text: &str) {
        if let Some(mut asker) = self.asker.take() {
            let _ = asker.write_all(text.as_bytes());
        }
    }

    /// The order that comes next, within `left`: to revert where the first process ends. `None`
    /// where there was none in that time, or what came was none.
    pub(crate) fn wait(&mut self, left: Option<Duration>) -> Option<Order> {
        let (is_first, is_other) = self.poll(left);
        if is_first {
            let mut letter = [0];
            let count = self.first.read(&mut letter).unwrap_or(0);
            return Some(letter.get(..count).and_then(Order::of).unwrap_or(Order::Revert));
        }
        if is_other { self.accept() } else { None }
    }

    fn poll(&self, left: Option<Duration>) -> (bool, bool) {
        let mut fds = [
            PollFd::from_borrowed_fd(self.first.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.listener.as_fd(), PollFlags::IN),
        ];
        let left = left.and_then(|left| left.try_into().ok());
        // An interrupted one is made again by the caller.
        match poll(&mut fds, left.as_ref()) {
            Ok(_) => (!fds[0].revents().is_empty(), !fds[1].revents().is_empty()),
            Err(_) => (false, false),
        }
    }

    /// Only root and who started the guard may give it orders.
    fn accept(&mut self) -> Option<Order> {
        let (mut stream, _) = self.listener.accept().ok()?;
        let uid = peer(&stream)?.uid;
        if uid != 0 && uid != geteuid().as_raw() {
            let _ = stream.write_all(b"only root and who started it may end a try\n");
            return None;
        }
        stream.set_nonblocking(false).ok()?;
        stream.set_read_timeout(Some(ORDER_TIMEOUT)).ok()?;
        let mut letter = [0];
        let count = stream.read(&mut letter).ok()?;
        let order = letter.get(..count).and_then(Order::of).filter(|it| *it != Order::Applied)?;
        self.asker = Some(stream);
        Some(order)
    }
}

impl Order {
    fn letter(self) -> u8 {
        match self {
            Self::Applied => b'a',
            Self::Keep => b'k',
            Self::Revert => b'r',
        }
    }

    fn of(letters: &[u8]) -> Option<Self> {
        match letters {
            b"a" => Some(Self::Applied),
            b"k" => Some(Self::Keep),
            b"r" => Some(Self::Revert),
            _ => None,
        }
    }
}
