//! What a single value must be, whatever it is read from.
//!
//! The rules that join several objects are in `checks.rs`.

use std::net::IpAddr;

use super::Owner;
use super::limits::{MTU_MAX, MTU_MIN, OWNER_NAME_BYTES_MAX, QUOTED_CHARS_MAX};
use crate::model::address::Prefix;
use crate::model::kind::{Settings, Value, ValueType};
use crate::model::route::{is_daemon_protocol, protocol_name};
use crate::model::rule::PortRange;
use crate::model::text::{LinkName, Mac, write_escaped};

/// Why a value cannot be: what is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: Some(help.into()) }
    }
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

/// The group of an owner without one: FNV-1a of the name (32 bits) in the range 0x52000000 to
/// 0x52fffffe, and even, so that neither it nor the doomed `group + 1` is one that people pick.
pub(super) fn group_of(owner: &str) -> u32 {
    let hash = owner
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    0x5200_0000 | (hash & 0x00ff_fffe)
}

/// Whether a group is one that may be derived from an owner's name, or marks what is doomed.
#[cfg(feature = "document")]
pub(super) fn is_derived_group(group: u32) -> bool {
    group >> 24 == 0x52
}

pub(super) fn check_owner_name(name: &str) -> Result<(), Fault> {
    if name.is_empty() || name.len() > OWNER_NAME_BYTES_MAX {
        let message = format!("an owner's name has 1 to {OWNER_NAME_BYTES_MAX} bytes");
        return Err(Fault::new(message, "choose a short one, such as `host`"));
    }
    if name.chars().any(char::is_control) {
        return Err(Fault::new(
            "an owner's name cannot hold control characters",
            "choose a short one, such as `host`",
        ));
    }
    Ok(())
}

pub(super) fn check_group(group: u32) -> Result<(), Fault> {
    match group {
        0 => Err(Fault::new(
            "group 0 is the group of every link that nobody marked",
            "choose another number, or leave `group` out: it is derived from the name",
        )),
        u32::MAX => Err(Fault::new(
            format!("group {group} leaves no `group + 1`, which marks links that are doomed"),
            "choose a smaller number, or leave `group` out: it is derived from the name",
        )),
        _ => Ok(()),
    }
}

/// Numbers with a meaning are refused: routes that carry them would be taken for ours, and
/// ours for theirs. On addresses 1 to 3 are the kernel's own (IFAPROT_KERNEL_*).
pub(super) fn check_protocol(protocol: u8) -> Result<(), Fault> {
    let holder = match (protocol, protocol_name(protocol)) {
        (_, Some(name)) => format!("is that of `{name}`"),
        (_, None) if is_daemon_protocol(protocol) => "is that of a routing daemon".to_owned(),
        _ => return Ok(()),
    };
    Err(Fault::new(
        format!("protocol {protocol} {holder}, whose routes would be taken for ours"),
        "choose a number that is free on this host, or leave `protocol` out: it is 82",
    ))
}

pub(super) fn check_owner(owner: &Owner) -> Vec<(&'static str, Fault)> {
    let checked = [
        ("name", check_owner_name(&owner.name)),
        ("group", check_group(owner.group)),
        ("protocol", check_protocol(owner.protocol)),
    ];
    let faults = checked.into_iter();
    faults.filter_map(|(key, checked)| Some((key, checked.err()?))).collect()
}

pub(super) fn check_name(name: LinkName) -> Result<(), Fault> {
    check_name_bytes(name.as_bytes())
}

pub(super) fn check_name_bytes(name: &[u8]) -> Result<(), Fault> {
    LinkName::valid(name).map(drop).map_err(|error| Fault::new(error.to_string(), "rename it"))
}

pub(super) fn check_mtu(mtu: u32) -> Result<(), Fault> {
    if (MTU_MIN..=MTU_MAX).contains(&mtu) {
        return Ok(());
    }
    Err(Fault::new(
        format!("an MTU of {mtu} bytes is impossible: it is {MTU_MIN} to {MTU_MAX}"),
        "Ethernet's is 1500, with jumbo frames 9000",
    ))
}

pub(super) fn check_mac(mac: Mac) -> Result<(), Fault> {
    if mac.is_valid_unicast() {
        return Ok(());
    }
    let reason = match mac.as_bytes() {
        bytes if bytes.len() != 6 => "is not of six bytes",
        [first, ..] if first & 1 == 1 => "is a multicast address",
        _ => "is all zero",
    };
    Err(Fault::new(
        format!("{mac} {reason}, which no link can have as its own"),
        "a locally administered address begins with 02, such as 02:00:00:00:00:01",
    ))
}

pub(super) fn check_prefix_len(prefix: Prefix) -> Result<(), Fault> {
    let (family, max) = match prefix.address {
        IpAddr::V4(_) => ("IPv4", 32),
        IpAddr::V6(_) => ("IPv6", 128),
    };
    if prefix.len <= max {
        return Ok(());
    }
    Err(Fault::new(
        format!("a prefix length of {} is too long for {family}", prefix.len),
        format!("it is 0 to {max}"),
    ))
}

/// Of a kind's settings as a whole, whoever made them. Each fault names its key.
pub(super) fn check_settings(settings: &Settings) -> Vec<(&'static str, Fault)> {
    let mut faults = Vec::new();
    let kind = settings.kind.name;
    for (position, key) in settings.kind.keys.iter().enumerate() {
        let fits = match (settings.get(position), key.value) {
            (None, _) => !key.required,
            (Some(Value::Bool(_)), ValueType::Bool)
            | (Some(Value::Address(_)), ValueType::Address | ValueType::Ipv4Address) => true,
            (Some(Value::Number(number)), ValueType::Number { min, max }) => {
                (min..=max).contains(&number)
            }
            (Some(Value::Ports(ports)), ValueType::Ports) => check_ports(ports).is_ok(),
            (Some(Value::Word(number)), ValueType::Word(_)) => key.word(number).is_some(),
            (Some(Value::Link(name)), ValueType::Lower | ValueType::Peer) => {
                LinkName::valid(name.as_bytes()).is_ok()
            }
            _ => false,
        };
        if !fits {
            let message = match settings.get(position) {
                None => format!("a {kind} needs `{}`", key.name),
                Some(value) => format!("`{}` of a {kind} cannot be {value:?}", key.name),
            };
            faults.push((key.name, Fault::new(message, key.doc)));
        }
    }
    faults.extend(check_families(settings));
    faults
}

/// A range that holds a port, and not port 0.
pub(super) fn check_ports(ports: PortRange) -> Result<PortRange, Fault> {
    if (1..=ports.last).contains(&ports.first) {
        return Ok(ports);
    }
    let message = format!("there is no port in the range {ports}");
    Err(Fault::new(message, "give the first and the last port, from 1 to 65535"))
}

/// Of a tunnel over IPv4.
#[cfg(feature = "document")]
pub(super) fn check_ipv4(address: IpAddr) -> Result<IpAddr, Fault> {
    if address.is_ipv4() {
        return Ok(address);
    }
    let message = format!("{address} is of IPv6, and this kind of tunnel goes over IPv4");
    Err(Fault::new(message, "give an IPv4 address, or choose another kind of tunnel"))
}

/// The addresses of one tunnel are of one family: the kernel refuses a mixture.
pub(super) fn check_families(settings: &Settings) -> Option<(&'static str, Fault)> {
    let mut addresses = settings.iter().filter_map(|(key, value)| match value {
        Value::Address(address) => Some((key.name, address)),
        _ => None,
    });
    let (first, address) = addresses.next()?;
    let (second, _) = addresses.find(|(_, other)| other.is_ipv4() != address.is_ipv4())?;
    let message = format!("`{second}` and `{first}` are of different address families");
    let help = "give two IPv4 addresses or two IPv6 addresses";
    Some((second, Fault::new(message, help)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_group_never_changes() {
        // Links on hosts carry these numbers.
        assert_eq!(group_of("host"), 0x52fe_a56e);
        assert_eq!(group_of(""), 0x521c_9dc4);
        assert_ne!(group_of("host"), group_of("tsoh"));
    }

    #[test]
    fn protocols_of_others_are_refused() {
        for protocol in [0, 1, 2, 3, 4, 9, 16, 42, 99, 186, 190] {
            assert!(check_protocol(protocol).is_err(), "{protocol}");
        }
        assert!(check_protocol(82).is_ok());
    }
}
