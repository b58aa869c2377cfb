//! What comes before a verb's own work: its document, its namespace, its signals, its privilege.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::exit::Failure;
use super::{Common, Files};
use crate::desired::Desired;
use crate::ring::namespace::{enter_netns, enter_sandbox, has_net_admin};
use crate::ring::signals::Signals;

/// Reads and checks the document.
pub(super) fn load(files: &Files) -> Result<Desired, Failure> {
    Ok(Desired::load(&files.files)?)
}

/// Enters the namespace that the flags ask for, and takes the signals over.
pub(super) fn enter(common: &Common) -> Result<Signals, Failure> {
    if common.sandbox {
        enter_sandbox()?;
    } else if let Some(netns) = &common.netns {
        enter_netns(netns)?;
    }
    Ok(Signals::block())
}

/// Refuses at once what the kernel would refuse step by step.
pub(super) fn require_net_admin(verb: &str) -> Result<(), Failure> {
    if has_net_admin() {
        return Ok(());
    }
    Err(Failure::Cannot(format!(
        "`{verb}` changes the network and needs CAP_NET_ADMIN in this network namespace, which this \
         process does not have; run it as root (sudo), or add --sandbox to try it in a network of \
         its own. Nothing was changed."
    )))
}

/// Calls `stop` once a signal comes, from a thread that sleeps until then. The flag tells later
/// whether one came.
pub(super) fn on_signal(
    signals: Signals,
    stop: impl FnOnce() + Send + 'static,
) -> Result<Arc<AtomicBool>, Failure> {
    let came = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&came);
    let wait = move || {
        signals.wait();
        flag.store(true, Ordering::Release);
        stop();
    };
    let thread = std::thread::Builder::new().name("ringlink-signal".to_owned()).spawn(wait);
    thread.map_err(|error| Failure::Cannot(format!("cannot start a thread: {error}")))?;
    Ok(came)
}
