//! What an address of a link must be by itself, whatever it is read from.

use std::net::IpAddr;

use super::DesiredAddress;
use super::values::{Fault, check_prefix_len};
use crate::model::address::{
    IFA_F_HOMEADDRESS, IFA_F_MANAGETEMPADDR, IFA_F_NODAD, IFA_F_NOPREFIXROUTE, Prefix,
};
use crate::model::text::LinkName;

/// The flags that can be asked for, by the names of `ip address`.
pub(super) const FLAGS: &[(&str, u32)] = &[
    ("noprefixroute", IFA_F_NOPREFIXROUTE),
    ("nodad", IFA_F_NODAD),
    ("home", IFA_F_HOMEADDRESS),
    ("mngtmpaddr", IFA_F_MANAGETEMPADDR),
];

/// All that is wrong with an address by itself. Each fault names its key.
pub(super) fn check_address(own: &DesiredAddress) -> Vec<(&'static str, Fault)> {
    let checked = [
        ("address", check_own(own.prefix)),
        ("peer", own.peer.map_or(Ok(()), |peer| check_peer(own.prefix, peer))),
        ("label", own.label.map_or(Ok(()), |label| check_label(own.prefix, label))),
        ("scope", check_scope(own)),
        ("valid_lft", check_lifetimes(own)),
    ];
    let mut faults: Vec<_> =
        checked.into_iter().filter_map(|(key, checked)| Some((key, checked.err()?))).collect();
    let asked = own.flags | own.flags_off;
    let of_ipv6 = FLAGS.iter().filter(|(_, flag)| *flag != IFA_F_NOPREFIXROUTE);
    for (key, _) in of_ipv6.filter(|(_, flag)| asked & flag != 0 && own.prefix.is_ipv4()) {
        let message = format!("an IPv4 address has no `{key}`");
        faults.push((key, Fault::new(message, "take it out")));
    }
    faults
}

fn check_own(prefix: Prefix) -> Result<(), Fault> {
    check_prefix_len(prefix)?;
    let what = match prefix.address {
        address if address.is_multicast() => "a multicast address",
        address if address.is_unspecified() => "the unspecified address",
        IpAddr::V4(address) if address.is_broadcast() => "the broadcast address",
        _ => return Ok(()),
    };
    Err(Fault::new(
        format!("{} is {what}, which no link can have", prefix.address),
        "give the link's own address",
    ))
}

fn check_peer(prefix: Prefix, peer: IpAddr) -> Result<(), Fault> {
    if peer.is_ipv4() != prefix.is_ipv4() {
        let message = format!("the peer {peer} is of another family than {}", prefix.address);
        return Err(Fault::new(message, "give the address of the other end, of the same family"));
    }
    if peer == prefix.address {
        let message = format!("{peer} cannot be at both ends");
        return Err(Fault::new(message, "give the address of the other end"));
    }
    check_own(Prefix { address: peer, len: prefix.len })
}

pub(super) fn check_label(prefix: Prefix, label: LinkName) -> Result<(), Fault> {
    if !prefix.is_ipv4() {
        return Err(Fault::new("an IPv6 address has no label", "take `label` out"));
    }
    let is_plain = |byte: &u8| byte.is_ascii_graphic();
    if label.is_empty() || !label.as_bytes().iter().all(is_plain) {
        let message = format!("`{label}` cannot be a label");
        return Err(Fault::new(message, "write the link's name and a suffix, such as `eth0:1`"));
    }
    Ok(())
}

fn check_scope(own: &DesiredAddress) -> Result<(), Fault> {
    match own.scope {
        Some(_) if !own.prefix.is_ipv4() => Err(Fault::new(
            "the scope of an IPv6 address follows from the address",
            "take `scope` out",
        )),
        _ => Ok(()),
    }
}

fn check_lifetimes(own: &DesiredAddress) -> Result<(), Fault> {
    let (valid, preferred) = (own.valid_lft, own.preferred_lft);
    if valid == Some(0) {
        let message = "an address that is valid for 0 seconds is not there";
        return Err(Fault::new(message, "take the address out, or give it a longer life"));
    }
    match (valid, preferred) {
        (Some(valid), Some(preferred)) if preferred > valid => Err(Fault::new(
            format!("it is valid for {valid} seconds and preferred for {preferred}"),
            "give `preferred_lft` at most the seconds of `valid_lft`",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_links_cannot_have_is_refused() {
        let prefix = |address: &str, len| Prefix { address: address.parse().unwrap(), len };
        assert!(check_own(prefix("192.0.2.1", 24)).is_ok());
        for (address, len) in [("255.255.255.255", 32), ("ff02::1", 64), ("::", 0)] {
            assert!(check_own(prefix(address, len)).is_err(), "{address}");
        }
    }
}
