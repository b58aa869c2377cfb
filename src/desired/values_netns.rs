//! What the name of a network namespace must be, and how declared ones are numbered.

use std::sync::Arc;

use super::builder::LinkDeclaration;
use super::limits::{NETNS_NAME_BYTES_MAX, NETNS_PATH_BYTES_MAX};
use super::values::{Fault, quoted};
use crate::model::hash::HashMap;
use crate::model::kind::Value;

/// A name as `ip netns` has it, or a path.
pub(super) fn check_netns(text: &str) -> Result<(), Fault> {
    let is_path = text.starts_with('/') || text.starts_with("./");
    let reason = match text {
        "" => "it is empty".to_owned(),
        "." | ".." => "that is a folder".to_owned(),
        _ if text.contains('\0') => "it holds a zero byte".to_owned(),
        _ if is_path && text.ends_with('/') => "that is a folder".to_owned(),
        _ if is_path && text.len() > NETNS_PATH_BYTES_MAX => {
            format!("a path has at most {NETNS_PATH_BYTES_MAX} bytes, not {}", text.len())
        }
        _ if is_path => return Ok(()),
        _ if text.contains('/') => "a name has no `/` in it".to_owned(),
        _ if text.len() > NETNS_NAME_BYTES_MAX => {
            format!("a name has at most {NETNS_NAME_BYTES_MAX} bytes, not {}", text.len())
        }
        _ => return Ok(()),
    };
    let message = format!("{} cannot be a network namespace: {reason}", quoted(text));
    let help = "give a name as `ip netns list` shows it, or a path that begins with `/` or `./`";
    Err(Fault::new(message, help))
}

/// Of one that a program gives to a link.
pub(super) fn check_netns_of(link: &LinkDeclaration) -> Result<(), Fault> {
    let Some(netns) = &link.peer_netns else { return Ok(()) };
    let has_peer = link.settings.is_some_and(|settings| settings.kind.netns_position().is_some());
    if !has_peer {
        let message = "only a link that is made with a peer has its peer in a network namespace";
        return Err(Fault::new(message, "give it the settings of such a kind first"));
    }
    check_netns(netns)
}

/// Gives each namespace that is named a number, and each link's settings that of its own; the names
/// by these numbers. What has no number any more is left without one.
pub(super) fn number_namespaces(links: &mut [LinkDeclaration]) -> Arc<[Arc<str>]> {
    let mut names = Vec::new();
    let mut numbers = HashMap::default();
    for link in links {
        let (Some(netns), Some(settings)) = (&link.peer_netns, &mut link.settings) else {
            continue;
        };
        let number = numbers.get(netns).copied().or_else(|| u16::try_from(names.len()).ok());
        let Some((number, position)) = number.zip(settings.kind.netns_position()) else {
            continue;
        };
        if numbers.insert(Arc::clone(netns), number).is_none() {
            names.push(Arc::clone(netns));
        }
        settings.set(position, Some(Value::Netns(number)));
    }
    names.into()
}
