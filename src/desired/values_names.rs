//! What an alias and an alternative name must be.

use super::limits::ALTNAMES_MAX;
use super::values::Fault;
#[cfg(feature = "document")]
use crate::model::identity::{ALIAS_BYTES_MAX, ALTNAME_BYTES_MAX};
use crate::model::identity::{Alias, AltName};

/// An alias as it is given. The kernel shows it up to its first zero.
#[cfg(feature = "document")]
pub(super) fn alias(text: &[u8]) -> Result<Alias, Fault> {
    let Some(alias) = Alias::new(text) else {
        let message = format!("an alias has at most {ALIAS_BYTES_MAX} bytes, not {}", text.len());
        return Err(Fault::new(message, "say less of it"));
    };
    check_alias(&alias).map(|()| alias)
}

/// Of one that a program gives.
pub(super) fn check_alias(alias: &Alias) -> Result<(), Fault> {
    if alias.as_bytes().contains(&0) {
        return Err(Fault::new("an alias cannot hold a zero byte", "take it out"));
    }
    Ok(())
}

/// An alternative name as it is given.
#[cfg(feature = "document")]
pub(super) fn altname(text: &[u8]) -> Result<AltName, Fault> {
    let Some(name) = AltName::new(text) else {
        let message = format!("an alternative name has at most {ALTNAME_BYTES_MAX} bytes");
        return Err(Fault::new(message, "shorten it"));
    };
    check_altname(name).map(|()| name)
}

/// The kernel takes any bytes; `ip` could not name some of them (`check_altifname` in
/// lib/utils.c).
pub(super) fn check_altname(name: AltName) -> Result<(), Fault> {
    let is_odd = |byte: &u8| *byte == b'/' || byte.is_ascii_whitespace() || *byte < 0x20;
    let help = "write one that `ip` can name too, such as `uplink`";
    match name.as_bytes() {
        [] => Err(Fault::new("an alternative name cannot be empty", help)),
        bytes if bytes.iter().any(is_odd) => {
            let message = "an alternative name cannot hold '/', white space or control characters";
            Err(Fault::new(message, help))
        }
        _ => Ok(()),
    }
}

/// Of all of a link.
pub(super) fn check_altnames(names: &[AltName]) -> Vec<Fault> {
    let mut faults: Vec<_> = names.iter().filter_map(|name| check_altname(*name).err()).collect();
    for (at, name) in names.iter().enumerate() {
        if names[..at].contains(name) {
            let message = format!("the alternative name `{name}` is given twice");
            faults.push(Fault::new(message, "keep one of the two"));
        }
    }
    if names.len() > ALTNAMES_MAX {
        let message = format!("a link has at most {ALTNAMES_MAX} alternative names here");
        faults.push(Fault::new(message, "give it fewer"));
    }
    faults
}
