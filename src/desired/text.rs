//! Addresses as people write them.

use std::net::IpAddr;

use super::values::{Fault, quoted};
use crate::model::address::Prefix;
use crate::model::text::Mac;

/// An address with a prefix length. One without is ambiguous, so it is refused with both of
/// the lengths that are probable.
pub(super) fn parse_prefix(text: &str) -> Result<Prefix, Fault> {
    parse(text, "the link's subnet", |prefix| prefix)
}

/// The same of a route's destination, where the probable subnet has no bits past its length.
pub(super) fn parse_destination(text: &str) -> Result<Prefix, Fault> {
    parse(text, "its subnet", |prefix| prefix.network())
}

fn parse(text: &str, what: &str, subnet_of: fn(Prefix) -> Prefix) -> Result<Prefix, Fault> {
    let Some((address, len)) = text.split_once('/') else {
        let Ok(address) = text.parse::<IpAddr>() else {
            return Err(not_a_prefix(text));
        };
        let (len, host) = if address.is_ipv4() { (24, 32) } else { (64, 128) };
        let subnet = subnet_of(Prefix { address, len });
        return Err(Fault::new(
            format!("{address} has no prefix length"),
            format!("write {address}/{host} for this address alone, or {what}, such as {subnet}"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_length_is_refused_with_both_candidates() {
        let help = |result: Result<Prefix, Fault>| result.unwrap_err().help.unwrap();
        let address = help(parse_prefix("192.0.2.7"));
        assert!(address.contains("192.0.2.7/32") && address.contains("192.0.2.7/24"));
        let destination = help(parse_destination("2001:db8::7"));
        assert!(destination.contains("2001:db8::7/128") && destination.contains("2001:db8::/64"));
    }

    #[test]
    fn a_prefix_length_is_digits() {
        assert!(parse_prefix("192.0.2.1/24").is_ok());
        for text in ["192.0.2.1/+24", "192.0.2.1/", "192.0.2.1/2 4", "192.0.2.1/24/24", "/24"] {
            assert!(parse_prefix(text).is_err(), "{text}");
        }
    }
}
