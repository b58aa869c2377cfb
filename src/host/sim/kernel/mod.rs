//! A kernel made of values: enough of rtnetlink to be asked, to answer and to tell.
//!
//! It reads and writes bytes by netlink-packet-route, so that our own decoding meets another
//! codec, and knows the habits that matter: errors are always answered and success where asked,
//! notifications come before the ack, an overrun socket takes nothing until it is empty, the
//! parts of a dump are made ahead of their reader, and much is taken away without a word.

mod addresses;
mod links;
mod routes;
mod socket;
mod spell;

use std::collections::{BTreeMap, BTreeSet};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage as Rt;

pub(super) use self::addresses::{SimAddress, SimOwn};
pub(super) use self::links::SimLink;
pub(super) use self::routes::{Put, SimHop, SimRoute, SimSlot, shown};
pub(super) use self::socket::{Read, Socket};
pub(super) use self::spell::{forged_deletion, overrun, stray_ack};
use crate::model::network::Table;
use crate::wire::filter::Instruction;
use crate::wire::tests::bpf;

const TABLE_LOCAL: u32 = 255;
const NLM_F_MULTI: u16 = 2;
const NLM_F_DUMP_INTR: u16 = 0x10;

/// What is dumped, and how far it got.
#[derive(Debug)]
struct DumpState {
    sequence: u32,
    table: Table,
    next: usize,
    generation: u64,
}

/// How this kernel is set up.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Sysctls {
    /// net.ipv4.conf.*.promote_secondaries.
    pub(super) promotes: bool,
    /// net.ipv6.conf.*.keep_addr_on_down.
    pub(super) keeps_addresses: bool,
    /// net.ipv6.route.skip_notify_on_dev_down.
    pub(super) skips_notify: bool,
}

/// Faults that the next requests meet.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Answer the next dump with EBUSY.
    pub(super) busy: bool,
    /// Lose the next ack without a word.
    pub(super) lose_ack: bool,
}

#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) links: BTreeMap<u32, SimLink>,
    pub(super) addresses: BTreeMap<SimAddress, SimOwn>,
    /// In each slot in the kernel's order.
    pub(super) routes: BTreeMap<SimSlot, Vec<SimRoute>>,
    pub(super) events: Socket,
    pub(super) replies: Socket,
    pub(super) faults: Faults,
    pub(super) sysctls: Sysctls,
    /// Links of others; no request may name them.
    pub(super) foreign: BTreeSet<u32>,
    /// How many entries a part of a dump has.
    pub(super) part_len: usize,
    next_index: u32,
    dump: Option<DumpState>,
    /// What a dump of links, and of addresses, is consistent by.
    generations: [u64; 2],
    /// Requests that were no RTM_GET*.
    pub(super) writes: u64,
    /// Those of them that were to make what was there.
    pub(super) repeated: u64,
    /// The program that the event socket has.
    pub(super) program: Option<Vec<Instruction>>,
    /// The port whose requests are being served; 0 for none.
    served: u32,
}

/// The port that the host's requests come from.
pub(super) const OWN_PORT: u32 = 4712;

impl Kernel {
    pub(super) fn new(events_max: usize, replies_max: usize) -> Self {
        let lo = SimLink::loopback();
        Self {
            links: BTreeMap::from([(1, lo)]),
            addresses: BTreeMap::new(),
            routes: BTreeMap::new(),
            events: Socket::new(events_max),
            replies: Socket::new(replies_max),
            faults: Faults::default(),
            sysctls: Sysctls::default(),
            foreign: BTreeSet::new(),
            part_len: 2,
            next_index: 2,
            dump: None,
            generations: [0; 2],
            writes: 0,
            repeated: 0,
            program: None,
            served: 0,
        }
    }

    /// Whether it has nothing more to say.
    pub(super) fn is_idle(&self) -> bool {
        self.events.is_silent() && self.replies.is_silent() && self.dump.is_none()
    }

    pub(super) fn dumps_routes(&self) -> bool {
        self.dump.as_ref().is_some_and(|dump| dump.table == Table::Routes)
    }

    /// The next answer. With it the next part of a dump is made, which is as old as this reading
    /// when it is read itself.
    pub(super) fn read_reply(&mut self) -> Option<Read> {
        let read = self.replies.read();
        self.make_part();
        read
    }

    pub(super) fn index_of(&self, name: &str) -> Option<u32> {
        self.links.iter().find(|(_, link)| link.name == name).map(|(index, _)| *index)
    }

    /// Takes a datagram of requests of the host's.
    pub(super) fn request(&mut self, mut bytes: &[u8]) {
        self.served = OWN_PORT;
        while !bytes.is_empty() {
            let message = NetlinkMessage::<Rt>::deserialize(bytes).expect("a sound request");
            let len = usize::try_from(message.header.length).expect("a length").next_multiple_of(4);
            bytes = &bytes[len.min(bytes.len())..];
            self.one(message);
        }
        self.served = 0;
    }

    fn one(&mut self, message: NetlinkMessage<Rt>) {
        let header = message.header;
        let NetlinkPayload::InnerMessage(request) = message.payload else { panic!("no request") };
        if header.flags & NLM_F_DUMP == NLM_F_DUMP {
            return self.begin_dump(header.sequence_number, &request);
        }
        if let Rt::GetLink(link) = &request {
            let index = link.header.index;
            let sequence = header.sequence_number;
            return self.replies.deliver(match self.links.contains_key(&index) {
                true => spell::encoded(self.link_message(index), 0, sequence),
                false => spell::ack(sequence, libc::ENODEV),
            });
        }
        self.writes += 1;
        let named = spell::named_links(&request);
        assert!(self.foreign.is_disjoint(&named), "it names what is not its own: {request:?}");
        let is_new = header.flags & NLM_F_CREATE != 0;
        let is_exclusive = header.flags & NLM_F_EXCL != 0;
        let replaces = header.flags & NLM_F_REPLACE != 0;
        let errno = match request {
            Rt::NewLink(link) if is_new => self.create_link(&link),
            Rt::NewLink(link) => self.set_link(&link),
            Rt::DelLink(link) => match self.links.contains_key(&link.header.index) {
                true => self.delete_link(link.header.index),
                false => libc::ENODEV,
            },
            Rt::NewAddress(address) => self.put_address(&address, replaces),
            Rt::DelAddress(address) => self.delete_address(spell::key_of_address(&address)),
            Rt::NewRoute(route) => self.put_route(&route, is_exclusive, replaces),
            Rt::DelRoute(route) => self.delete_route(&route),
            other => panic!("not asked for so far: {other:?}"),
        };
        self.repeated += u64::from(errno == libc::EEXIST);
        if errno != 0 || header.flags & NLM_F_ACK != 0 {
            if std::mem::take(&mut self.faults.lose_ack) {
                return;
            }
            self.replies.deliver(spell::ack(header.sequence_number, errno));
        }
    }

    fn begin_dump(&mut self, sequence: u32, request: &Rt) {
        let table = match request {
            Rt::GetLink(_) => Table::Links,
            Rt::GetAddress(_) => Table::Addresses,
            Rt::GetRoute(_) => Table::Routes,
            other => panic!("no dump: {other:?}"),
        };
        if std::mem::take(&mut self.faults.busy) || self.dump.is_some() {
            return self.replies.deliver(spell::ack(sequence, libc::EBUSY));
        }
        let generation = self.generation(table);
        self.dump = Some(DumpState { sequence, table, next: 0, generation });
        self.make_part();
    }

    fn generation(&self, table: Table) -> u64 {
        match table {
            Table::Links => self.generations[0],
            Table::Addresses => self.generations[1],
            // The kernel never tells that a dump of routes was interrupted.
            Table::Routes => 0,
            other => panic!("not asked for so far: {other:?}"),
        }
    }

    /// Some entries of the state as it is now; those that move meanwhile are skipped or
    /// repeated, as the kernel's are.
    fn make_part(&mut self) {
        let Some(state) = &self.dump else { return };
        let DumpState { sequence, table, next, generation } = *state;
        let is_changed = self.generation(table) != generation;
        let flags = NLM_F_MULTI | if is_changed { NLM_F_DUMP_INTR } else { 0 };
        let len = self.part_len;
        let entries: Vec<Rt> = match table {
            Table::Links => {
                let indices = self.links.keys().skip(next).take(len);
                indices.map(|&index| self.link_message(index)).collect()
            }
            Table::Addresses => {
                let addresses = self.addresses.iter().skip(next).take(len);
                addresses.map(spell::address).collect()
            }
            Table::Routes => self.route_messages(next, len),
            other => panic!("not asked for so far: {other:?}"),
        };
        if entries.is_empty() {
            self.dump = None;
            return self.replies.push_part(spell::done(sequence, flags));
        }
        if let Some(state) = &mut self.dump {
            state.next += entries.len();
        }
        let part = entries.into_iter().flat_map(|entry| spell::encoded(entry, flags, sequence));
        self.replies.push_part(part.collect());
    }

    fn tell(&mut self, message: Rt, flags: u16) {
        let is_route = matches!(message, Rt::NewRoute(_) | Rt::DelRoute(_));
        let mut datagram = spell::encoded(message, flags, 0);
        if is_route {
            // Of these alone it says by whose request they are.
            datagram[12..16].copy_from_slice(&self.served.to_ne_bytes());
        }
        let program = self.program.as_ref();
        if program.is_none_or(|program| bpf::run(program, &datagram) != 0) {
            self.events.deliver(datagram);
        }
    }
}
