//! Links with their settings and addresses.

use std::fmt::Write as _;

use super::super::text::parse_mac;
use super::super::values::{check_mtu, is_derived_group};
use super::toml::{Field, inline, key, quoted};
use super::{Export, is_writable, string, text};
use crate::model::address::{
    Address, FLAG_NAMES, IFA_F_DEPRECATED, IFA_F_PERMANENT, SCOPE_HOST, scope_name,
};
use crate::model::kind::{Key, Settings, Value};
use crate::model::link::Link;
use crate::model::text::write_escaped;

/// The MTU of Ethernet, which new links have unless something else is said.
const MTU_ETHERNET: u32 = 1500;
/// The MTU of a loopback device.
const MTU_LOOPBACK: u32 = 65536;

/// Flags of addresses that a document can ask for; the others are the kernel's findings.
const ASKED_FLAGS: &[&str] = &["noprefixroute", "nodad", "home", "mngtmpaddr"];

/// What stands of one link.
#[derive(Default)]
struct Block {
    fields: Vec<Field>,
    addresses: Vec<String>,
    vlans: Option<Vec<String>>,
    fdb: Vec<String>,
    comments: Vec<String>,
}

impl Export<'_> {
    pub(super) fn links(&self, document: &mut String) {
        for link in self.network.links() {
            if !is_writable(link.name) {
                let mut name = String::new();
                // Writing into a string cannot fail.
                let _ = write_escaped(&mut name, link.name.as_bytes());
                let _ = writeln!(
                    document,
                    "\n# Left out: link {name}, whose name is not UTF-8, as a document is."
                );
                continue;
            }
            let other_end = self.other_end(link);
            match other_end {
                // It follows the end that makes it, which the kernel makes last.
                Some(maker) if maker.index > link.index => {}
                _ => self.link(document, link),
            }
            if let Some(peer) = other_end.filter(|peer| peer.index < link.index) {
                self.link(document, peer);
            }
        }
    }

    /// The other end of a pair, where it is in this namespace and has a name that can be written.
    fn other_end(&self, link: &Link) -> Option<&Link> {
        let is_paired = link.settings.is_some_and(|settings| settings.kind.has_peer());
        let other = self.network.link(link.lower)?;
        (is_paired && link.lower_netns.is_none() && is_writable(other.name)).then_some(other)
    }

    fn link(&self, document: &mut String, link: &Link) {
        let mut block = Block::default();
        let is_made = self.kind(link, &mut block);
        self.common(link, is_made, &mut block);
        self.addresses(link, &mut block);
        block.vlans = self.vlans(link);
        block.fdb = self.fdb(link);
        let has_lists =
            !block.addresses.is_empty() || block.vlans.is_some() || !block.fdb.is_empty();
        let says_nothing = block.fields.is_empty() && !has_lists;
        if link.is_loopback() && says_nothing {
            return;
        }
        let _ = writeln!(document, "\n[link.{}]", key(&text(link.name)));
        for (key, value) in &block.fields {
            let _ = writeln!(document, "{key} = {value}");
        }
        match block.addresses.as_slice() {
            [] => {}
            [one] => {
                let _ = writeln!(document, "addresses = [{one}]");
            }
            several => {
                let _ = writeln!(document, "addresses = [\n    {},\n]", several.join(",\n    "));
            }
        }
        if let Some(vlans) = &block.vlans {
            let _ = writeln!(document, "vlans = [{}]", vlans.join(", "));
        }
        if !block.fdb.is_empty() {
            let _ = writeln!(document, "fdb = [\n    {},\n]", block.fdb.join(",\n    "));
        }
        for comment in &block.comments {
            let _ = writeln!(document, "# {comment}");
        }
    }

    /// Says how the link is made, and whether ringlink would: a device is only to be there.
    fn kind(&self, link: &Link, block: &mut Block) -> bool {
        let Some(settings) = link.settings else {
            if !link.kind.is_empty() {
                let kind = link.kind;
                block
                    .comments
                    .push(format!("Of kind {kind}, which no document makes: it must be there."));
            }
            return false;
        };
        if settings.kind.has_peer() {
            return self.pair(link, block);
        }
        let mut fields = Vec::new();
        for (key, value) in settings.iter() {
            match self.value(key, value) {
                Some(text) if key.required || !is_default(key, value, &text, None) => {
                    fields.push((key.name.to_owned(), text));
                }
                Some(_) => {}
                None => {
                    let reason = format!("`{}` is out of a document's reach.", key.name);
                    block.comments.push(reason);
                    if key.required {
                        return false;
                    }
                }
            }
        }
        let kind = settings.kind.name;
        block.fields.push(match fields.as_slice() {
            [] => ("kind".to_owned(), quoted(kind)),
            fields => (key(kind), inline(fields)),
        });
        true
    }

    /// One end of a pair makes the other: the one that the kernel made last.
    fn pair(&self, link: &Link, block: &mut Block) -> bool {
        let Some(other) = self.other_end(link) else {
            block.comments.push(match link.lower_netns {
                Some(id) => format!(
                    "Its other end is in another network namespace, by the number {id} of \
                     `ip netns list-id`: it must be there, for its name there cannot be seen."
                ),
                None => "Its other end is not in this namespace: it must be there.".to_owned(),
            });
            return false;
        };
        if link.index > other.index {
            let peer = ("peer".to_owned(), quoted(&text(other.name)));
            block.fields.push((link.kind.to_string(), inline(&[peer])));
        }
        true
    }

    fn common(&self, link: &Link, is_made: bool, block: &mut Block) {
        let Block { fields, comments, .. } = block;
        let mut push = |key: &str, value: String| fields.push((key.to_owned(), value));
        match (is_made, link.is_up()) {
            (true, false) => push("state", quoted("down")),
            (false, true) if !link.is_loopback() => push("state", quoted("up")),
            _ => {}
        }
        let usual = if link.is_loopback() { MTU_LOOPBACK } else { MTU_ETHERNET };
        if check_mtu(link.mtu).is_err() {
            comments.push(format!("Its MTU of {} is out of a document's reach.", link.mtu));
        } else if link.mtu != usual {
            push("mtu", link.mtu.to_string());
        }
        // That of a tunnel is the address that it sends from.
        let mac = string(link.mac);
        if is_made && (self.is_pinned)(link) && parse_mac(&mac).is_ok() {
            push("mac", mac);
        }
        if let Ok(alias) = std::str::from_utf8(link.alias()) {
            if !alias.is_empty() {
                push("alias", quoted(alias));
            }
        }
        // A device has what its manager gives it.
        let altnames = link.altnames().iter().filter(|_| is_made);
        let altnames = altnames.filter_map(|name| name.as_str()).map(quoted).collect::<Vec<_>>();
        if !altnames.is_empty() {
            push("altnames", format!("[{}]", altnames.join(", ")));
        }
        // What an owner made bears its mark, and it is the owner that says so.
        if link.group != 0 && !(is_made && is_derived_group(link.group)) {
            push("group", link.group.to_string());
        }
        if let Some(master) = self.name(link.master) {
            push("master", quoted(&text(master)));
        }
        let port = link.port.map(|port| self.settings(&port.widened(), None));
        if let Some(port) = port.filter(|port| !port.is_empty()) {
            push("port", inline(&port));
        }
        // A loopback device has what the namespace gives to a new link.
        let usual = self.network.links().find(|link| link.is_loopback());
        let usual = usual.map(|link| link.common.widened());
        let own = self.settings(&link.common.widened(), usual.as_ref());
        let (nested, plain): (Vec<_>, Vec<_>) =
            own.into_iter().partition(|(key, _)| key.contains('.'));
        if !link.is_loopback() {
            block.fields.extend(plain);
        }
        for table in ["ipv4", "ipv6"] {
            let within = nested.iter().filter_map(|(key, value)| {
                let (outer, inner) = key.split_once('.')?;
                (outer == table).then(|| (inner.to_owned(), value.clone()))
            });
            let within: Vec<_> = within.collect();
            if !within.is_empty() {
                block.fields.push((table.to_owned(), inline(&within)));
            }
        }
    }

    /// What is not as the kernel makes it.
    fn settings(&self, settings: &Settings, usual: Option<&Settings>) -> Vec<Field> {
        let said = settings.iter().filter_map(|(key, value)| {
            let text = self.value(key, value)?;
            let usual = usual.and_then(|usual| usual.by_name(key.name));
            (!is_default(key, value, &text, usual)).then(|| (key.name.to_owned(), text))
        });
        said.collect()
    }

    /// A value as a document spells it.
    fn value(&self, key: &Key, value: Value) -> Option<String> {
        Some(match value {
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Word(number) => quoted(key.word(number)?),
            Value::Address(address) => string(address),
            Value::Ports(ports) => quoted(&ports.to_string()),
            Value::Link(name) => quoted(&text(name)),
            Value::Index(index) => quoted(&text(self.name(index)?)),
            // No link shows one.
            Value::Netns(_) => return None,
        })
    }

    fn addresses(&self, link: &Link, block: &mut Block) {
        for address in self.network.addresses_of(link.index) {
            if comes_by_itself(address, link) {
                continue;
            }
            if address.flags & IFA_F_PERMANENT == 0 {
                let prefix = address.key.prefix;
                block.comments.push(format!("Left out: {prefix}, which has a lifetime."));
                continue;
            }
            block.addresses.push(address_text(address, link));
        }
    }
}

/// The kernel's own: those of a loopback, and link-local ones of IPv6.
fn comes_by_itself(address: &Address, link: &Link) -> bool {
    let own = address.key.prefix.address;
    match own {
        std::net::IpAddr::V4(_) => link.is_loopback() && own.is_loopback(),
        std::net::IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_loopback(),
    }
}

fn address_text(address: &Address, link: &Link) -> String {
    let prefix = string(address.key.prefix);
    let mut fields = vec![("address".to_owned(), prefix.clone())];
    let mut push = |key: &str, value: String| fields.push((key.to_owned(), value));
    if let Some(peer) = address.key.peer {
        push("peer", string(peer));
    }
    let has_label = !address.label.is_empty() && address.label != link.name;
    if has_label && is_writable(address.label) {
        push("label", quoted(&text(address.label)));
    }
    let usual = if address.key.prefix.address.is_loopback() { SCOPE_HOST } else { 0 };
    if address.key.prefix.is_ipv4() && address.scope != usual {
        push("scope", scope_name(address.scope).map_or(address.scope.to_string(), quoted));
    }
    for (flag, name) in FLAG_NAMES.iter().filter(|(_, name)| ASKED_FLAGS.contains(name)) {
        if address.flags & flag != 0 {
            push(name, "true".to_owned());
        }
    }
    if address.flags & IFA_F_DEPRECATED != 0 {
        push("preferred_lft", "0".to_owned());
    }
    if fields.len() == 1 { prefix } else { inline(&fields) }
}

/// Whether that is what the kernel takes by itself, or what `usual` says where the table does not.
fn is_default(key: &Key, value: Value, text: &str, usual: Option<Value>) -> bool {
    match (key.default, value) {
        (Some(default), Value::Number(number)) => {
            default.parse().is_ok_and(|default: u32| number.abs_diff(default) <= key.rounding)
        }
        (Some(default), Value::Word(_)) => text == quoted(default),
        (Some(default), _) => text.trim_matches('"') == default,
        (None, _) => usual == Some(value),
    }
}
