//! What comes before a verb's own work: its document, its namespace, its signals, its privilege.

use std::path::PathBuf;
use std::process;
use std::thread::{self, JoinHandle};

use super::exit::{Exit, Failure};
use super::{Common, Files};
use crate::desired::Desired;
use crate::ring::namespace::{enter_netns, enter_sandbox, has_net_admin, is_root_of_host};
use crate::ring::signals::Signals;
use crate::ring::{LockError, Netns, OwnerLock};

/// Reads and checks the document.
pub(super) fn load(files: &Files) -> Result<Desired, Failure> {
    Ok(Desired::load(&files.files)?)
}

/// The same for a verb that does what it says: root obeys root alone, and who became root by
/// sudo(8). In a sandbox it may say anything.
pub(super) fn load_to_obey(files: &Files, common: &Common) -> Result<Desired, Failure> {
    if common.sandbox || !is_root_of_host() {
        return load(files);
    }
    let user = std::env::var("SUDO_UID").ok().and_then(|uid| uid.parse().ok());
    Ok(Desired::load_owned(&files.files, user.as_slice())?)
}

/// The same where no document need be given.
pub(super) fn load_any(files: &[PathBuf]) -> Result<Option<Desired>, Failure> {
    if files.is_empty() { Ok(None) } else { Ok(Some(Desired::load(files)?)) }
}

/// Enters the namespace that the flags ask for. No other thread may exist yet.
pub(super) fn enter(common: &Common) -> Result<(), Failure> {
    if common.sandbox {
        enter_sandbox()?;
    } else if let Some(netns) = &common.netns {
        enter_netns(&Netns::parse(netns))?;
    }
    Ok(())
}

/// Enters the namespace of a verb that changes it, with the right to do so, for as long as the lock
/// is held.
pub(super) fn writing(
    verb: &str,
    desired: &Desired,
    common: &Common,
) -> Result<OwnerLock, Failure> {
    enter(common)?;
    require_net_admin(verb)?;
    lock(desired)
}

/// Refuses at once what the kernel would refuse step by step.
fn require_net_admin(verb: &str) -> Result<(), Failure> {
    if has_net_admin() {
        return Ok(());
    }
    Err(Failure::Cannot(format!(
        "`{verb}` changes the network and needs CAP_NET_ADMIN in this network namespace, which this \
         process does not have; run it as root (sudo), or add --sandbox to try it in a network of \
         its own. Nothing was changed."
    )))
}

/// Keeps the other writing verbs of the same owner out, for as long as the lock is held.
fn lock(desired: &Desired) -> Result<OwnerLock, Failure> {
    let owner = desired.owner().map(|owner| owner.name.as_str());
    OwnerLock::take(owner).map_err(|error| {
        let help = match (&error, owner) {
            (LockError::Held { .. }, Some(_)) => {
                "stop that one first, or give this document another owner"
            }
            (LockError::Held { .. }, None) => {
                "stop that one first, or give this document an owner: `[owner]` and `name = \"...\"`"
            }
            _ => "check the limits of this process (`ulimit -n`)",
        };
        Failure::Cannot(format!("{error}; {help}. Nothing was changed."))
    })
}

/// Calls `stop` when SIGINT, SIGTERM or SIGHUP comes, from a thread that sleeps until then. A
/// second signal ends the program at once: the first may wait for a reader that reads no more.
///
/// Call [`Signals::block`] before, and before any other thread.
pub(super) fn on_signal(
    signals: Signals,
    stop: impl FnOnce() + Send + 'static,
) -> Result<(), Failure> {
    let wait = move || {
        signals.wait();
        stop();
        signals.wait();
        process::exit(Exit::Interrupted.code().into());
    };
    on_thread("ringlink-signal", wait)?;
    Ok(())
}

/// Starts a thread, which few wait for.
pub(super) fn on_thread(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, Failure> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map_err(|error| Failure::Cannot(format!("cannot start a thread: {error}")))
}
