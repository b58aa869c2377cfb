//! A network namespace for the thread of one test, with a socket in it and `ip` beside it.

use std::process::Command;

use bytes::BytesMut;
use nix::sched::{CloneFlags, unshare};
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{Socket, SocketAddr};

use super::super::decode::{Decoded, decode};
use super::super::encode;
use super::super::numbers::flags::NLM_F_MULTI;
use super::super::view::messages;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::link::Link;
use crate::model::network::Table;
use crate::model::route::Route;
use crate::model::text::LinkName;

pub(super) struct Namespace {
    socket: Socket,
    sequence: u32,
}

/// The kernel's refusal: errno, its words, and whether it blamed an attribute.
#[derive(Debug, PartialEq)]
pub(super) struct Refused(pub i32, pub String, pub bool);

/// A fresh namespace with its loopback up, or `None`, said aloud, where it cannot be had.
pub(super) fn enter() -> Option<Namespace> {
    if let Err(errno) = unshare(CloneFlags::CLONE_NEWNET) {
        eprintln!("skipped: no network namespace ({errno}); run as root");
        return None;
    }
    let mut socket = Socket::new(NETLINK_ROUTE).unwrap();
    socket.bind_auto().unwrap();
    socket.connect(&SocketAddr::new(0, 0)).unwrap();
    socket.set_netlink_get_strict_chk(true).unwrap();
    socket.set_ext_ack(true).unwrap();
    ip("link set lo up");
    Some(Namespace { socket, sequence: 0 })
}

/// A socket that hears a group of notifications (RTNLGRP_*, `linux/rtnetlink.h`).
pub(super) fn listen(group: u32) -> Socket {
    let mut socket = Socket::new(NETLINK_ROUTE).unwrap();
    socket.bind_auto().unwrap();
    socket.add_membership(group).unwrap();
    socket
}

/// Runs `ip` in the namespace of this thread.
pub(super) fn ip(arguments: &str) -> Vec<u8> {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {error}");
    output.stdout
}

/// What `ip -j` prints, as a list.
pub(super) fn ip_json(arguments: &str) -> Vec<serde_json::Value> {
    let text = ip(&format!("-j -d {arguments}"));
    if text.iter().all(u8::is_ascii_whitespace) {
        return Vec::new();
    }
    serde_json::from_slice(&text).unwrap()
}

/// All that `ip` shows and that no clock moves.
fn state() -> Vec<String> {
    let tables = ["link", "address", "-4 route show table all", "-6 route show table all"];
    let shown = tables.map(|table| String::from_utf8(ip(&format!("-o {table}"))).unwrap());
    let words = shown.iter().flat_map(|it| it.split_whitespace());
    words.filter(|word| !word.ends_with("sec")).map(str::to_owned).collect()
}

pub(super) fn name(text: &str) -> LinkName {
    LinkName::valid(text.as_bytes()).unwrap()
}

impl Namespace {
    fn receive(&self) -> BytesMut {
        let mut datagram = BytesMut::with_capacity(64 << 10);
        self.socket.recv(&mut datagram, 0).unwrap();
        datagram
    }

    fn send(&self, bytes: &[u8]) {
        assert_eq!(self.socket.send(bytes, 0).unwrap(), bytes.len());
    }

    /// What `read` brings while nothing changes: links and addresses draw changes after them.
    pub(super) fn undisturbed<T>(&mut self, mut read: impl FnMut(&mut Self) -> T) -> T {
        for _ in 0..100 {
            let before = state();
            let read = read(self);
            if state() == before {
                return read;
            }
        }
        panic!("the namespace does not come to rest");
    }

    /// The datagrams of a dump, its end checked.
    pub(super) fn dump(&mut self, what: Table) -> Vec<BytesMut> {
        self.sequence += 1;
        let mut request = BytesMut::new();
        encode::dump(what, self.sequence, &mut request);
        self.send(&request);
        let mut datagrams = Vec::new();
        loop {
            let datagram = self.receive();
            let mut ended = false;
            for message in messages(&datagram) {
                let message = message.unwrap();
                assert_eq!(message.sequence, self.sequence);
                let is_whole = message.flags & NLM_F_MULTI != 0 || what.may_be_lacking();
                assert!(is_whole, "{what:?}");
                decode(&message, &mut |decoded| match decoded {
                    Decoded::Done { errno } => {
                        assert_eq!(errno, 0);
                        ended = true;
                    }
                    Decoded::Ack(ack) if what.may_be_lacking() => {
                        assert_eq!(ack.errno, libc::EOPNOTSUPP);
                        ended = true;
                    }
                    Decoded::Ack(ack) => panic!("{what:?}: {ack:?}"),
                    _ => {}
                })
                .unwrap();
            }
            datagrams.push(datagram);
            if ended {
                return datagrams;
            }
        }
    }

    pub(super) fn links(&mut self) -> Vec<Link> {
        self.collect(Table::Links, |decoded| match decoded {
            Decoded::Link { link, .. } => Some(link),
            _ => None,
        })
    }

    pub(super) fn addresses(&mut self) -> Vec<Address> {
        self.collect(Table::Addresses, |decoded| match decoded {
            Decoded::Address { address, .. } => Some(address),
            _ => None,
        })
    }

    pub(super) fn routes(&mut self) -> Vec<Route> {
        self.collect(Table::Routes, |decoded| match decoded {
            Decoded::Route { route, .. } => Some(route),
            _ => None,
        })
    }

    fn collect<T>(&mut self, what: Table, take: fn(Decoded<'_>) -> Option<T>) -> Vec<T> {
        let datagrams = self.dump(what);
        let decoded = datagrams.iter().flat_map(|datagram| super::decode_all(datagram));
        decoded.filter_map(take).collect()
    }

    pub(super) fn link(&mut self, name: &str) -> Link {
        let found = self.links().into_iter().find(|link| link.name.as_bytes() == name.as_bytes());
        found.unwrap_or_else(|| panic!("no link {name}"))
    }

    /// What RTM_GETLINK of one index answers.
    pub(super) fn get_link(&mut self, index: u32) -> Link {
        self.sequence += 1;
        let mut request = BytesMut::new();
        encode::get_link(index, self.sequence, &mut request);
        self.send(&request);
        let datagram = self.receive();
        match super::decode_all(&datagram).as_slice() {
            [Decoded::Link { link, .. }] => link.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// Sends a change and waits for its acknowledgement.
    pub(super) fn change(&mut self, change: &Change) -> Result<(), Refused> {
        self.change_as(change, None)
    }

    /// The same, under another message type than the encoder's.
    pub(super) fn change_as(
        &mut self,
        change: &Change,
        message_type: Option<u16>,
    ) -> Result<(), Refused> {
        let links = self.links();
        let resolve = |name| {
            let found = links.iter().find(|link| link.name == name);
            found.map(|link| link.index)
        };
        self.sequence += 1;
        let mut request = BytesMut::new();
        encode::change(change, self.sequence, &resolve, &|_| None, &mut request).unwrap();
        encode::request_ack(&mut request, 0);
        if let Some(message_type) = message_type {
            request[4..6].copy_from_slice(&message_type.to_ne_bytes());
        }
        self.send(&request);
        let datagram = self.receive();
        match super::decode_all(&datagram).as_slice() {
            [Decoded::Ack(ack)] => {
                assert_eq!(ack.sequence, self.sequence);
                let words = String::from_utf8_lossy(ack.message.unwrap_or_default());
                match ack.errno {
                    0 => Ok(()),
                    errno => Err(Refused(errno, words.into(), ack.offset.is_some())),
                }
            }
            other => panic!("{other:?}"),
        }
    }
}
