//! A [`Filter`] as a program of classic BPF (`linux/filter.h`) for the socket of notifications.
//!
//! A notification that the program drops wakes nobody and fills no queue. It drops only what it
//! understands: a single message of a known type whose every word says that it is not wanted.
//! It passes what takes the place of a route (NLM_F_REPLACE) or joins one (NLM_F_APPEND, or one of
//! several next hops): the kernel tells nothing else of the route that it pushed out or joined.

use std::net::IpAddr;

use super::numbers::flags::{NLM_F_APPEND, NLM_F_REPLACE};
use super::numbers::*;
use super::view::{
    ATTRIBUTE_HEADER_BYTES, MESSAGE_FLAGS_OFFSET, MESSAGE_HEADER_BYTES, MESSAGE_PORT_OFFSET,
    MESSAGE_TYPE_OFFSET,
};
use crate::limits::FILTER_RANGES_MAX;
use crate::model::filter::Filter;
use crate::model::network::Table;

/// One instruction, as `struct sock_filter` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) code: u16,
    pub(crate) jt: u8,
    pub(crate) jf: u8,
    pub(crate) k: u32,
}

// Codes of instructions (`linux/bpf_common.h`).
const LOAD_WORD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const LOAD_HALF: u16 = 0x28; // BPF_LD | BPF_H | BPF_ABS
const LOAD_BYTE: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
const LOAD_WORD_AT_X: u16 = 0x40; // BPF_LD | BPF_W | BPF_IND
const LOAD_HALF_AT_X: u16 = 0x48; // BPF_LD | BPF_H | BPF_IND
const LOAD_LENGTH: u16 = 0x80; // BPF_LD | BPF_W | BPF_LEN
const LOAD_VALUE: u16 = 0x00; // BPF_LD | BPF_IMM
const LOAD_X_VALUE: u16 = 0x01; // BPF_LDX | BPF_IMM
const LOAD_X_SAVED: u16 = 0x61; // BPF_LDX | BPF_MEM
const SAVE: u16 = 0x02; // BPF_ST
const A_TO_X: u16 = 0x07; // BPF_MISC | BPF_TAX
const OR_X: u16 = 0x4c; // BPF_ALU | BPF_OR | BPF_X
const XOR_X: u16 = 0xac; // BPF_ALU | BPF_XOR | BPF_X
const SHIFT_LEFT: u16 = 0x64; // BPF_ALU | BPF_LSH | BPF_K
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const IF_EQUAL_X: u16 = 0x1d; // BPF_JMP | BPF_JEQ | BPF_X
const IF_GREATER: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const IF_NOT_LESS: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const IF_ANY_BIT: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

/// SKF_AD_OFF + SKF_AD_NLATTR (`linux/filter.h`): the offset of the attribute of kind X in the
/// attributes that begin at offset A, or 0.
const FIND_ATTRIBUTE: u32 = 0xffff_f000 + 12;
/// A program returns how many bytes of the datagram may stay.
const ALL_BYTES: u32 = u32::MAX;

/// The first field behind `nlmsghdr`, and those of `struct rtmsg` that are looked at. Links and
/// addresses have their index at the same place.
const FAMILY_OFFSET: u32 = MESSAGE_HEADER_BYTES as u32;
const DESTINATION_LEN_OFFSET: u32 = FAMILY_OFFSET + 1;
const PROTOCOL_OFFSET: u32 = FAMILY_OFFSET + 5;
const INDEX_OFFSET: u32 = FAMILY_OFFSET + 4;
const ROUTE_ATTRIBUTES_OFFSET: u32 = FAMILY_OFFSET + 12;
/// Where the value of an attribute begins.
const VALUE_OFFSET: u32 = ATTRIBUTE_HEADER_BYTES as u32;

/// The program for `filter`; `None` where everything is wanted and none is needed.
///
/// `destinations_max` bounds the ranges of destinations that it tells apart.
pub(crate) fn program(filter: &Filter, destinations_max: usize) -> Option<Vec<Instruction>> {
    if *filter == Filter::everything() {
        return None;
    }
    let mut code = Assembler::default();
    let (pass, refuse) = (code.label(), code.label());
    let (of_links, of_addresses, of_routes) = (code.label(), code.label(), code.label());
    // Shorter than the shortest that is judged: not understood.
    code.load(LOAD_LENGTH, 0);
    code.unless(IF_NOT_LESS, ROUTE_ATTRIBUTES_OFFSET, pass);
    code.load(LOAD_HALF, MESSAGE_TYPE_OFFSET as u32);
    for (types, label) in [
        ([RTM_NEWLINK, RTM_DELLINK], of_links),
        ([RTM_NEWADDR, RTM_DELADDR], of_addresses),
        ([RTM_NEWROUTE, RTM_DELROUTE], of_routes),
    ] {
        types.into_iter().for_each(|kind| code.when(IF_EQUAL, loaded_u16(kind), label));
    }
    code.jump(pass);

    code.place(of_links);
    indexed(&mut code, filter, Table::Links, pass, refuse);
    code.place(of_addresses);
    indexed(&mut code, filter, Table::Addresses, pass, refuse);
    code.place(of_routes);
    if filter.wants_table(Table::Routes) {
        routes(&mut code, filter, destinations_max, pass, refuse);
    } else {
        code.jump(refuse);
    }

    Some(code.end(pass, refuse))
}

/// The program that refuses the news of routes which the requests of that port made, in no other's
/// place, and passes all else.
pub(crate) fn without_routes_of(port: u32) -> Vec<Instruction> {
    let mut code = Assembler::default();
    let (pass, refuse) = (code.label(), code.label());
    code.load(LOAD_LENGTH, 0);
    code.unless(IF_NOT_LESS, MESSAGE_HEADER_BYTES as u32, pass);
    code.load(LOAD_HALF, MESSAGE_TYPE_OFFSET as u32);
    code.unless(IF_EQUAL, loaded_u16(RTM_NEWROUTE), pass);
    code.load(LOAD_WORD, MESSAGE_PORT_OFFSET as u32);
    code.unless(IF_EQUAL, loaded_u32(port), pass);
    code.load(LOAD_HALF, MESSAGE_FLAGS_OFFSET as u32);
    code.when(IF_ANY_BIT, loaded_u16(NLM_F_REPLACE | NLM_F_APPEND), pass);
    code.jump(refuse);
    code.end(pass, refuse)
}

/// Messages whose third field is the index of a link.
fn indexed(code: &mut Assembler, filter: &Filter, table: Table, pass: Label, refuse: Label) {
    match &filter.links {
        _ if !filter.wants_table(table) => code.jump(refuse),
        None => code.jump(pass),
        Some(links) => {
            code.load(LOAD_WORD, INDEX_OFFSET);
            let ranges = ranges(links.iter().map(|&index| loaded_u32(index)), FILTER_RANGES_MAX);
            code.choose(&ranges, pass, refuse);
        }
    }
}

fn routes(
    code: &mut Assembler,
    filter: &Filter,
    destinations_max: usize,
    pass: Label,
    refuse: Label,
) {
    if !filter.destinations.is_empty() {
        let elsewhere = code.label();
        destinations(code, filter, destinations_max, pass, elsewhere);
        code.place(elsewhere);
    }
    if let Some(tables) = &filter.tables {
        let next = code.label();
        code.find(RTA_TABLE, pass);
        code.load_value(4, pass);
        let ranges = ranges(tables.iter().map(|&table| loaded_u32(table)), FILTER_RANGES_MAX);
        code.choose(&ranges, next, refuse);
        code.place(next);
    }
    if filter.protocols.is_none() && filter.links.is_none() {
        return code.jump(pass);
    }
    code.load(LOAD_HALF, MESSAGE_FLAGS_OFFSET as u32);
    code.when(IF_ANY_BIT, loaded_u16(NLM_F_REPLACE | NLM_F_APPEND), pass);
    // Of several next hops each may have a protocol of its own, and a link.
    let single = code.label();
    code.find(RTA_MULTIPATH, single);
    code.jump(pass);
    code.place(single);
    if let Some(protocols) = &filter.protocols {
        let next = code.label();
        code.load(LOAD_BYTE, PROTOCOL_OFFSET);
        let ranges = ranges(protocols.iter().copied().map(u32::from), FILTER_RANGES_MAX);
        code.choose(&ranges, next, refuse);
        code.place(next);
    }
    if let Some(links) = &filter.links {
        code.find(RTA_OIF, pass);
        code.load_value(4, pass);
        let ranges = ranges(links.iter().map(|&index| loaded_u32(index)), FILTER_RANGES_MAX);
        code.choose(&ranges, pass, refuse);
    } else {
        code.jump(pass);
    }
}

/// Goes to `pass` where the destination may be one of those that are wanted whatever else. The
/// words of an address are mixed into one, so others may pass too.
fn destinations(code: &mut Assembler, filter: &Filter, max: usize, pass: Label, elsewhere: Label) {
    let (has_length, of_ipv4, compare) = (code.label(), code.label(), code.label());
    code.load(LOAD_BYTE, DESTINATION_LEN_OFFSET);
    code.unless(IF_EQUAL, 0, has_length);
    // A default route has no destination to look at.
    let has_default = filter.destinations.iter().any(|to| to.len == 0);
    code.jump(if has_default { pass } else { elsewhere });
    code.place(has_length);
    code.load(LOAD_BYTE, FAMILY_OFFSET);
    code.when(IF_EQUAL, AF_INET.into(), of_ipv4);
    code.unless(IF_EQUAL, AF_INET6.into(), pass);
    code.find(RTA_DST, pass);
    code.load_value(16, pass);
    for word in 1..4 {
        code.load(LOAD_WORD_AT_X, VALUE_OFFSET + 4 * word);
        code.plain(SAVE, word);
    }
    code.load(LOAD_WORD_AT_X, VALUE_OFFSET);
    for word in 1..4 {
        code.plain(LOAD_X_SAVED, word);
        code.plain(XOR_X, 0);
    }
    code.jump(compare);
    code.place(of_ipv4);
    code.find(RTA_DST, pass);
    code.load_value(4, pass);
    code.place(compare);
    let keys = filter.destinations.iter().filter(|to| to.len > 0).map(|to| mixed(to.address));
    code.choose(&ranges(keys, max), pass, elsewhere);
}

/// The words of an address, as [`destinations`] mixes them.
fn mixed(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            [bits >> 96, bits >> 64, bits >> 32, bits].into_iter().fold(0, |a, b| a ^ b as u32)
        }
    }
}

/// What a load, which takes the bytes as big-endian, makes of a number in host order.
fn loaded_u16(number: u16) -> u32 {
    u32::from(u16::from_be_bytes(number.to_ne_bytes()))
}

/// See [`loaded_u16`].
fn loaded_u32(number: u32) -> u32 {
    u32::from_be_bytes(number.to_ne_bytes())
}

/// The values as at most `max` ranges in order, both ends included. Where there are more, those
/// that are nearest to each other are joined with what lies between them.
fn ranges(values: impl Iterator<Item = u32>, max: usize) -> Vec<(u32, u32)> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values.dedup();
    let mut gaps: Vec<_> = values.windows(2).map(|pair| (pair[1] - pair[0], pair[0])).collect();
    gaps.sort_unstable_by(|a, b| b.cmp(a));
    gaps.truncate(max.saturating_sub(1));
    let mut ends: Vec<_> =
        gaps.into_iter().filter(|(gap, _)| *gap > 1).map(|(_, before)| before).collect();
    ends.sort_unstable();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    let mut ends = ends.into_iter().peekable();
    let mut begins = true;
    for value in values {
        match ranges.last_mut() {
            Some(last) if !begins => last.1 = value,
            _ => ranges.push((value, value)),
        }
        begins = ends.next_if_eq(&value).is_some();
    }
    ranges
}

/// A place in a program that is jumped to, always forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Label(usize);

/// Instructions whose jumps name labels.
#[derive(Debug, Default)]
struct Assembler {
    code: Vec<Instruction>,
    /// Where each label is, once it has been placed.
    places: Vec<usize>,
    /// The instructions that jump to a label.
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    fn label(&mut self) -> Label {
        self.places.push(usize::MAX);
        Label(self.places.len() - 1)
    }

    fn place(&mut self, label: Label) {
        self.places[label.0] = self.code.len();
    }

    fn plain(&mut self, code: u16, k: u32) {
        self.code.push(Instruction { code, jt: 0, jf: 0, k });
    }

    fn load(&mut self, code: u16, offset: u32) {
        self.plain(code, offset);
    }

    fn jump(&mut self, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.plain(JUMP, 0);
    }

    /// Jumps where the condition holds. A condition itself reaches 255 instructions far, which is
    /// not enough, so it skips a jump that reaches all.
    fn when(&mut self, condition: u16, k: u32, to: Label) {
        self.code.push(Instruction { code: condition, jt: 0, jf: 1, k });
        self.jump(to);
    }

    /// Jumps where the condition does not hold.
    fn unless(&mut self, condition: u16, k: u32, to: Label) {
        self.code.push(Instruction { code: condition, jt: 1, jf: 0, k });
        self.jump(to);
    }

    /// Leaves the offset of a route's attribute in X; jumps where there is none.
    fn find(&mut self, attribute: u16, absent: Label) {
        self.plain(LOAD_VALUE, ROUTE_ATTRIBUTES_OFFSET);
        self.plain(LOAD_X_VALUE, attribute.into());
        self.plain(LOAD_WORD, FIND_ATTRIBUTE);
        self.when(IF_EQUAL, 0, absent);
        self.plain(A_TO_X, 0);
    }

    /// Loads the first word of the value of the attribute at X; jumps where the value is not of
    /// that length, since a load beyond the datagram's end would drop it.
    fn load_value(&mut self, bytes: u16, malformed: Label) {
        self.plain(LOAD_HALF_AT_X, 0);
        let length = bytes + ATTRIBUTE_HEADER_BYTES as u16;
        self.unless(IF_EQUAL, loaded_u16(length), malformed);
        self.plain(LOAD_WORD_AT_X, VALUE_OFFSET);
    }

    /// Leaves `nlmsg_len` in X, whatever the order of its bytes.
    fn message_length_to_x(&mut self) {
        if cfg!(target_endian = "big") {
            self.plain(LOAD_WORD, 0);
            return self.plain(A_TO_X, 0);
        }
        self.plain(LOAD_BYTE, 3);
        for offset in (0..3).rev() {
            self.plain(SHIFT_LEFT, 8);
            self.plain(A_TO_X, 0);
            self.plain(LOAD_BYTE, offset);
            self.plain(OR_X, 0);
        }
        self.plain(A_TO_X, 0);
    }

    /// Goes to `inside` where A lies in one of the ranges, else to `outside`.
    fn choose(&mut self, ranges: &[(u32, u32)], inside: Label, outside: Label) {
        match ranges {
            [] => self.jump(outside),
            &[(first, last)] => {
                self.unless(IF_NOT_LESS, first, outside);
                self.when(IF_GREATER, last, outside);
                self.jump(inside);
            }
            _ => {
                let (lower, upper) = ranges.split_at(ranges.len() / 2);
                let above = self.label();
                self.when(IF_NOT_LESS, upper[0].0, above);
                self.choose(lower, inside, outside);
                self.place(above);
                self.choose(upper, inside, outside);
            }
        }
    }

    /// The two ends of a program. Only a datagram of one message has been understood.
    fn end(mut self, pass: Label, refuse: Label) -> Vec<Instruction> {
        self.place(refuse);
        self.message_length_to_x();
        self.load(LOAD_LENGTH, 0);
        self.unless(IF_EQUAL_X, 0, pass);
        self.plain(RETURN, 0);
        self.place(pass);
        self.plain(RETURN, ALL_BYTES);
        self.finish()
    }

    fn finish(mut self) -> Vec<Instruction> {
        for (at, label) in self.jumps {
            // A jump is relative to the instruction after it; every label is placed behind.
            self.code[at].k = (self.places[label.0] - at - 1) as u32;
        }
        self.code
    }
}
