//! What comes before a verb's own work: its document, its namespace, its signals, its privilege.

use std::path::PathBuf;
use std::process;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

use super::exit::{Exit, Failure};
use super::{Common, Files};
use crate::applier::Applier;
use crate::desired::Desired;
use crate::model::network::Tables;
use crate::ring::namespace::{enter_netns, enter_sandbox, has_net_admin, is_root_of_host};
use crate::ring::signals::Signals;
use crate::ring::{LockError, Netns, OwnerLock};

/// Reads and checks the document.
pub(super) fn load(files: &Files) -> Result<Desired, Failure> {
    loading(files)()
}

/// The same for a verb that does what it says: root obeys root alone, and who became root by
/// sudo(8). In a sandbox it may say anything.
pub(super) fn load_to_obey(files: &Files, common: &Common) -> Result<Desired, Failure> {
    loading_to_obey(files, common)()
}

/// What [`load`] does, for another thread.
fn loading(files: &Files) -> impl FnOnce() -> Result<Desired, Failure> + use<> {
    let files = files.files.clone();
    move || Ok(Desired::load(&files)?)
}

/// What [`load_to_obey`] does, for another thread.
fn loading_to_obey(
    files: &Files,
    common: &Common,
) -> impl FnOnce() -> Result<Desired, Failure> + use<> {
    let files = files.files.clone();
    let is_anyones = common.sandbox || !is_root_of_host();
    move || {
        if is_anyones {
            return Ok(Desired::load(&files)?);
        }
        let user = std::env::var("SUDO_UID").ok().and_then(|uid| uid.parse().ok());
        Ok(Desired::load_owned(&files, user.as_slice())?)
    }
}

/// What [`load`] gives, and the namespace that the flags ask for, entered and opened.
pub(super) fn open(files: &Files, common: &Common) -> Result<(Desired, Applier), Failure> {
    open_while(common, loading(files))
}

/// The same with what [`load_to_obey`] gives.
pub(super) fn open_to_obey(files: &Files, common: &Common) -> Result<(Desired, Applier), Failure> {
    open_while(common, loading_to_obey(files, common))
}

/// Enters and opens the namespace while `load` reads the document on a thread of its own: most
/// documents are compared with the same tables, which are read meanwhile.
fn open_while(
    common: &Common,
    load: impl FnOnce() -> Result<Desired, Failure> + Send + 'static,
) -> Result<(Desired, Applier), Failure> {
    if common.sandbox {
        let desired = load()?;
        enter(common)?;
        return Ok((desired, Applier::builder().open()?));
    }
    let compared = Arc::new(OnceLock::new());
    let told = Arc::clone(&compared);
    let loading = on_thread("ringlink-load", move || {
        let loaded = load();
        // With a document that is not sound nothing is compared.
        let tables = loaded.as_ref().map_or(Tables::ALL, Desired::compared_tables);
        let _ = told.set(tables);
        loaded
    })?;
    let read = || -> Result<Applier, Failure> {
        enter(common)?;
        let mut applier = Applier::builder().reading_ahead().open()?;
        applier.read_ahead(|| compared.get().copied())?;
        Ok(applier)
    };
    let read = read();
    // What is wrong with the document is told first.
    let desired = loading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    Ok((desired, read?))
}

/// The same where no document need be given.
pub(super) fn load_any(files: &[PathBuf]) -> Result<Option<Desired>, Failure> {
    if files.is_empty() { Ok(None) } else { Ok(Some(Desired::load(files)?)) }
}

/// Enters the namespace that the flags ask for. Before a sandbox no other thread may exist; of a
/// network namespace those that do stay where they are.
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
    claim(verb, desired)
}

/// Makes sure of the right to change the namespace, and keeps the other writing verbs of the same
/// owner out of it for as long as the lock is held.
pub(super) fn claim(verb: &str, desired: &Desired) -> Result<OwnerLock, Failure> {
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
pub(super) fn on_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Failure> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map_err(|error| Failure::Cannot(format!("cannot start a thread: {error}")))
}
