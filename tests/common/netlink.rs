//! Requests in the kernel's own bytes, written here so that they owe nothing to the library:
//! many in one datagram, faster than any `ip`.

use std::net::IpAddr;

use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{Socket, SocketAddr};

pub(crate) const CREATE: u16 = 0x400;
pub(crate) const EXCL: u16 = 0x200;
pub(crate) const REPLACE: u16 = 0x100;
pub(crate) const APPEND: u16 = 0x800;
pub(crate) const ACK: u16 = 0x4;
const REQUEST: u16 = 0x1;

pub(crate) const RTM_NEWLINK: u16 = 16;
pub(crate) const RTM_DELLINK: u16 = 17;
pub(crate) const RTM_NEWADDR: u16 = 20;
pub(crate) const RTM_DELADDR: u16 = 21;
pub(crate) const RTM_NEWROUTE: u16 = 24;
pub(crate) const RTM_DELROUTE: u16 = 25;

/// `ip route`'s words of one route, as numbers.
#[derive(Debug, Clone)]
pub(crate) struct RouteSpec {
    pub(crate) to: IpAddr,
    pub(crate) len: u8,
    pub(crate) via: Option<IpAddr>,
    pub(crate) dev: u32,
    pub(crate) metric: u32,
    pub(crate) table: u32,
    pub(crate) protocol: u8,
}

/// A datagram of requests, in the making.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    bytes: Vec<u8>,
    sequence: u32,
}

impl Requests {
    /// `RTM_NEWROUTE` or `RTM_DELROUTE`.
    pub(crate) fn route(&mut self, message_type: u16, flags: u16, route: &RouteSpec) {
        let start = self.begin(message_type, flags);
        let family = if route.to.is_ipv4() { 2 } else { 10 };
        let deletes = message_type == RTM_DELROUTE;
        // To a deletion RT_SCOPE_NOWHERE means any scope.
        let scope = match (deletes, route.via) {
            (true, _) => 255,
            (false, None) if family == 2 => 253,
            _ => 0,
        };
        self.bytes.extend([family, route.len, 0, 0, 0, route.protocol, scope, 1, 0, 0, 0, 0]);
        self.attribute(1, &octets(route.to));
        if let Some(via) = route.via {
            self.attribute(5, &octets(via));
        }
        if route.dev != 0 {
            self.attribute(4, &route.dev.to_ne_bytes());
        }
        if route.metric != 0 {
            self.attribute(6, &route.metric.to_ne_bytes());
        }
        self.attribute(15, &route.table.to_ne_bytes());
        self.end(start);
    }

    /// `RTM_NEWADDR` or `RTM_DELADDR`; of IPv6 without duplicate address detection.
    pub(crate) fn address(
        &mut self,
        message_type: u16,
        flags: u16,
        dev: u32,
        own: IpAddr,
        len: u8,
    ) {
        let start = self.begin(message_type, flags);
        let (family, nodad) = if own.is_ipv4() { (2, 0) } else { (10, 2) };
        self.bytes.extend([family, len, nodad, 0]);
        self.bytes.extend(dev.to_ne_bytes());
        self.attribute(1, &octets(own));
        self.attribute(2, &octets(own));
        self.end(start);
    }

    /// `RTM_NEWLINK` or `RTM_DELLINK` of an index, with the flags that `set` and `mask` give and
    /// what `more` adds.
    pub(crate) fn link(
        &mut self,
        message_type: u16,
        flags: u16,
        index: u32,
        (set, mask): (u32, u32),
        more: impl FnOnce(&mut Self),
    ) {
        let start = self.begin(message_type, flags);
        self.link_header(index, set, mask);
        more(self);
        self.end(start);
    }

    /// The kind of a link to be made.
    pub(crate) fn kind(&mut self, kind: &str) {
        self.nested(18, |inner| inner.attribute(1, kind.as_bytes()));
    }

    /// The same for a pair, with the peer's index and name.
    pub(crate) fn veth(&mut self, peer: u32, name: &str) {
        self.nested(18, |inner| {
            inner.attribute(1, b"veth");
            inner.nested(2, |inner| {
                inner.nested(1, |inner| {
                    inner.link_header(peer, 0, 0);
                    inner.name(name);
                });
            });
        });
    }

    /// IFLA_IFNAME.
    pub(crate) fn name(&mut self, name: &str) {
        let mut bytes = name.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(3, &bytes);
    }

    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) {
        let len = u16::try_from(4 + value.len()).expect("a short attribute");
        self.bytes.extend(len.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.pad();
    }

    fn nested(&mut self, kind: u16, inner: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.attribute(kind, &[]);
        inner(self);
        let len = u16::try_from(self.bytes.len() - start).expect("a short attribute");
        self.bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
    }

    fn link_header(&mut self, index: u32, set: u32, mask: u32) {
        self.bytes.extend([0; 4]);
        self.bytes.extend(index.to_ne_bytes());
        self.bytes.extend(set.to_ne_bytes());
        self.bytes.extend(mask.to_ne_bytes());
    }

    fn begin(&mut self, message_type: u16, flags: u16) -> usize {
        let start = self.bytes.len();
        self.sequence += 1;
        self.bytes.extend([0; 4]);
        self.bytes.extend(message_type.to_ne_bytes());
        self.bytes.extend((REQUEST | flags).to_ne_bytes());
        self.bytes.extend(self.sequence.to_ne_bytes());
        self.bytes.extend([0; 4]);
        start
    }

    fn end(&mut self, start: usize) {
        let len = u32::try_from(self.bytes.len() - start).expect("a short message");
        self.bytes[start..start + 4].copy_from_slice(&len.to_ne_bytes());
    }

    fn pad(&mut self) {
        let len = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(len, 0);
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

impl Requests {
    /// The messages so far as notifications look: no request, and by nobody.
    pub(crate) fn into_notifications(self) -> Vec<u8> {
        let mut bytes = self.bytes;
        let mut at = 0;
        while at < bytes.len() {
            let len = bytes[at..at + 4].try_into().map(u32::from_ne_bytes).expect("four bytes");
            bytes[at + 6..at + 12].fill(0);
            at += usize::try_from(len).expect("a short message").next_multiple_of(4);
        }
        bytes
    }
}

/// A socket that asks and never listens: the kernel has done all of a datagram when the send
/// returns, and drops its answers where nobody reads them.
#[derive(Debug)]
pub(crate) struct Asker(Socket);

impl Asker {
    /// In the network namespace of this thread.
    pub(crate) fn open() -> Self {
        let mut socket = Socket::new(NETLINK_ROUTE).expect("a netlink socket");
        socket.bind_auto().expect("a port");
        Self(socket)
    }

    /// Its port id.
    pub(crate) fn port(&self) -> u32 {
        let mut address = SocketAddr::new(0, 0);
        self.0.get_address(&mut address).expect("it is bound");
        address.port_number()
    }

    /// Sends and forgets.
    pub(crate) fn send(&self, requests: &mut Requests) {
        if !requests.bytes.is_empty() {
            let sent = self.0.send_to(&requests.bytes, &SocketAddr::new(0, 0), 0);
            sent.expect("the kernel takes a datagram");
            requests.bytes.clear();
        }
    }

    /// Sends to a port, or to a group where the port is 0.
    pub(crate) fn send_to(&self, bytes: &[u8], port: u32, group: u32) {
        let groups = if port == 0 { 1 << (group - 1) } else { 0 };
        let sent = self.0.send_to(bytes, &SocketAddr::new(port, groups), 0);
        sent.expect("root may send to anyone");
    }
}
