//! The network as a document: what a person would have written to get it.
//!
//! Left out is what comes by itself (the kernel's routes, link-local addresses), what a program
//! holds (DHCP, routing daemons), and what is as the kernel has it for a new link. What is left
//! out and might be missed stands there as a comment, with the reason.

mod fdb;
mod links;
mod nexthops;
mod routes;
mod toml;
mod vlans;

use std::fmt::Write as _;

use self::toml::{Field, quoted};
use super::{Desired, PROTOCOL_DEFAULT};
use crate::model::link::Link;
use crate::model::network::Network;
use crate::model::text::LinkName;

impl Desired {
    /// A TOML document that declares the links, addresses, routes, rules and permanent neighbours
    /// of `network`, and that the network matches. Rules and neighbours are in it where `network`
    /// follows them.
    ///
    /// `is_pinned` tells of a link that is made by its kind whether someone chose its hardware
    /// address (`NET_ADDR_SET` of /sys/class/net/NAME/addr_assign_type); else it is left out.
    pub fn export(network: &Network, is_pinned: impl Fn(&Link) -> bool) -> String {
        let mut document = String::from("version = 1\n");
        let export = Export { network, is_pinned: &is_pinned };
        export.links(&mut document);
        export.nexthops(&mut document);
        export.routes(&mut document);
        export.rules(&mut document);
        export.neighbours(&mut document);
        document
    }
}

struct Export<'a> {
    network: &'a Network,
    is_pinned: &'a dyn Fn(&Link) -> bool,
}

impl Export<'_> {
    /// The name of a link, where a document can write it.
    fn name(&self, index: u32) -> Option<LinkName> {
        self.network.name_of(index).filter(|name| is_writable(*name))
    }
}

/// Whether a document, which is text, can write that name.
fn is_writable(name: LinkName) -> bool {
    std::str::from_utf8(name.as_bytes()).is_ok()
}

fn text(name: LinkName) -> String {
    String::from_utf8_lossy(name.as_bytes()).into_owned()
}

/// Why an object of that protocol is not declared; `None` where it is ours.
fn not_ours(protocol: u8) -> Option<String> {
    (protocol != PROTOCOL_DEFAULT).then(|| match crate::model::route::protocol_name(protocol) {
        Some(name) => format!("it is of protocol {name}"),
        None => format!("it is of protocol {protocol}"),
    })
}

/// A table of an array, each line a comment where there is a reason to leave it out.
fn entry(document: &mut String, header: &str, fields: &[Field], reason: Option<&str>) {
    let mark = if reason.is_some() { "# " } else { "" };
    document.push('\n');
    // Writing into a string cannot fail.
    if let Some(reason) = reason {
        let _ = writeln!(document, "# Left out, since {reason}; uncommented it is taken over.");
    }
    let _ = writeln!(document, "{mark}[[{header}]]");
    for (key, value) in fields {
        let _ = writeln!(document, "{mark}{key} = {value}");
    }
}

fn string(value: impl ToString) -> String {
    quoted(&value.to_string())
}
