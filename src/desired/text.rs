//! Addresses as people write them.

use std::net::IpAddr;

use super::limits::QUOTED_CHARS_MAX;
use super::values::Fault;
use crate::model::address::Prefix;
use crate::model::text::{Mac, write_escaped};

/// An address with a prefix length. One without is ambiguous, so it is refused with both of
/// the lengths that are probable.
pub(super) fn parse_prefix(text: &str) -> Result<Prefix, Fault> {
    let Some((address, len)) = text.split_once('/') else {
        let Ok(address) = text.parse::<IpAddr>() else {
            return Err(not_a_prefix(text));
        };
        let (subnet, host) = if address.is_ipv4() { (24, 32) } else { (64, 128) };
        return Err(Fault::new(
            format!("{address} has no prefix length"),
            format!(
                "write {address}/{host} for this address alone, or its subnet's, such as \
                 {address}/{subnet}"
            ),
        ));
    };
    let Ok(address) = address.parse() else {
        return Err(not_a_prefix(text));
    };
    let is_digits = !len.is_empty() && len.bytes().all(|digit| digit.is_ascii_digit());
    match len.parse() {
        Ok(len) if is_digits => {
            let prefix = Prefix { address, len };
            super::values::check_prefix_len(prefix).map(|()| prefix)
        }
        _ if address.is_ipv4() && len.parse::<IpAddr>().is_ok_and(|mask| mask.is_ipv4()) => {
            Err(Fault::new(
                format!("{} has a mask in place of a prefix length", quoted(text)),
                "write the number of its leading one bits: 24 for 255.255.255.0",
            ))
        }
        _ => Err(Fault::new(
            format!("{} has no valid prefix length", quoted(text)),
            "it is a number of bits, such as 24 or 64",
        )),
    }
}

fn not_a_prefix(text: &str) -> Fault {
    Fault::new(
        format!("{} is not an IP address", quoted(text)),
        "write it like 192.0.2.1/24 or 2001:db8::1/64",
    )
}

/// A bare address.
pub(super) fn parse_address(text: &str) -> Result<IpAddr, Fault> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let bare = text.split_once('/').map(|(bare, _)| bare);
    Err(match bare.and_then(|bare| bare.parse::<IpAddr>().ok()) {
        Some(address) => Fault::new(
            format!("{} has a prefix length, which has no place here", quoted(text)),
            format!("write {address}"),
        ),
        None => Fault::new(
            format!("{} is not an IP address", quoted(text)),
            "write it like 192.0.2.1 or 2001:db8::1",
        ),
    })
}

/// A hardware address that a link can have.
pub(super) fn parse_mac(text: &str) -> Result<Mac, Fault> {
    let Some(mac) = Mac::parse_ethernet(text) else {
        return Err(Fault::new(
            format!("{} is not a hardware address", quoted(text)),
            "write six pairs of hexadecimal digits, like 02:00:00:00:00:01",
        ));
    };
    super::values::check_mac(mac).map(|()| mac)
}

/// The destination that holds every address of the gateway's family.
pub(super) fn default_of(gateway: IpAddr) -> Prefix {
    let any = Prefix { address: gateway, len: 0 };
    any.network()
}

/// Text from outside in backquotes, cut and escaped for a message.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("`");
    let cut = text.char_indices().nth(QUOTED_CHARS_MAX);
    let shown = cut.map_or(text, |(at, _)| &text[..at]);
    // Writing to a `String` cannot fail.
    let _ = write_escaped(&mut out, shown.as_bytes());
    out.push_str(if cut.is_some() { "...`" } else { "`" });
    out
}
