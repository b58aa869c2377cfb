//! What others do to the kernel beside us.

use std::net::IpAddr;

use super::kernel::{Kernel, Put, SimHop, SimRoute, SimSlot};
use crate::plan::tests::random::{DEVICES, Random};

/// One change by someone else, of anything but what stands on the link `stable`; a harsher one
/// where nobody keeps a state against it.
pub(super) fn change(kernel: &mut Kernel, random: &mut Random, stable: u32, is_kept: bool) {
    let is_free = |index: &u32| *index != 1 && *index != stable;
    let links: Vec<u32> = kernel.links.keys().copied().filter(is_free).collect();
    let Some(&index) = random.pick(&links) else { return };
    match random.below(30) {
        0..=3 => kernel.update(index, |link| link.up = !link.up),
        4 => kernel.update(index, |link| link.mtu = 1234),
        5 => kernel.update(index, |link| link.master = 0),
        6 => {
            let is_bridge = |at: &&u32| kernel.links[at].kind == "bridge";
            let bridge = links.iter().find(is_bridge).copied().unwrap_or(0);
            if kernel.links[&index].kind != "bridge" {
                kernel.update(index, |link| link.master = bridge);
            }
        }
        7 | 8 => drop(kernel.delete_link(index)),
        // A link that was moved away is not made anew.
        9 if !is_kept => kernel.move_link(index),
        10 => kernel.rename(index, "stranger"),
        11 => drop(kernel.plug_in(DEVICES[random.below(2)])),
        12 => match random.below(3) {
            0 => kernel.make("br0", "bridge", ""),
            1 => kernel.make("v0", "veth", "p0"),
            _ => kernel.make("mv0", "macvlan", "v0"),
        },
        13..=18 => address(kernel, random, index, is_free),
        _ => route(kernel, random, index, is_free, is_kept),
    }
}

fn address(kernel: &mut Kernel, random: &mut Random, index: u32, is_free: impl Fn(&u32) -> bool) {
    let own = kernel.addresses.keys().filter(|key| is_free(&key.0));
    let own: Vec<_> = own.copied().collect();
    let own = random.pick(&own).copied();
    match (random.below(6), own) {
        (0..=2, Some(key)) => drop(kernel.delete_address(key)),
        (3, Some(key)) => kernel.set_address(key, false),
        (4, _) => kernel.set_address((index, gateway(random, false, 1), 64), true),
        _ => kernel.set_address((index, gateway(random, true, 1), 24), true),
    }
}

fn route(
    kernel: &mut Kernel,
    random: &mut Random,
    index: u32,
    is_free: impl Fn(&u32) -> bool,
    is_kept: bool,
) {
    // The kernel's own are nobody's to change.
    let all = kernel.routes.iter().flat_map(|(slot, hops)| hops.iter().map(|hop| (*slot, hop)));
    let all = all.filter(|(_, hop)| hop.protocol != 2 && is_free(&hop.dev));
    let all: Vec<_> = all.map(|(slot, hop)| (slot, hop.clone())).collect();
    let some = random.pick(&all).cloned();
    match (random.below(8), some) {
        (0 | 1, Some((slot, route))) => {
            kernel.remove_routes(|at, hop| *at == slot && *hop == route, true);
        }
        (2, Some((slot, route))) if kernel.links[&route.dev].up => {
            let via = Some(gateway(random, slot.1.is_ipv4(), 77)).filter(|_| random.one_in(2));
            let stranger = SimRoute { protocol: 3, via: via.or(route.via), ..route };
            kernel.set_route(slot, SimRoute { hops: Vec::new(), ..stranger }, Put::Replace);
        }
        // Ours behind another of its IPv4 slot is not put back by a replacement (EEXIST).
        (3, Some((slot, _))) if is_kept && slot.1.is_ipv4() => {}
        (3, Some((slot, route))) if kernel.links[&index].up => {
            let via = Some(gateway(random, slot.1.is_ipv4(), 9)).filter(|_| random.one_in(2));
            let put = if random.one_in(2) { Put::Append } else { Put::Prepend };
            // A sibling is shown by the protocol of the first, and not deleted by it.
            let protocol = if random.one_in(2) && !is_kept { 3 } else { route.protocol };
            let other = SimRoute { protocol, ..SimRoute::through(via, index) };
            kernel.set_route(slot, other, put);
        }
        _ if kernel.links[&index].up => add(kernel, random, index, is_free),
        _ => {}
    }
}

/// A change of what is in one slot of IPv6, through these links: next hops come and go there, and
/// routes without a gateway between them.
pub(super) fn crowd(kernel: &mut Kernel, random: &mut Random, links: [u32; 2]) {
    let slot: SimSlot = (254, [0x2001, 0xdb8, 61, 0, 0, 0, 0, 0].into(), 64, 1024);
    let index = links[random.below(2)];
    let routes = kernel.routes.get(&slot).cloned().unwrap_or_default();
    match (random.below(20), random.pick(&routes)) {
        (0..=5, Some(route)) => {
            kernel.remove_routes(|at, hop| *at == slot && hop == route, true);
        }
        (6 | 7, Some(_)) => {
            kernel.remove_routes(|at, hop| *at == slot && hop.via.is_some(), true);
        }
        (8, Some(_)) => kernel.update(index, |link| link.up = !link.up),
        (number, _) => {
            kernel.update(index, |link| link.up = true);
            let via = Some(gateway(random, false, 9)).filter(|_| !random.one_in(3));
            // One without a gateway may leave the same route twice, which nobody can tell from one.
            let replaces = number == 9 && via.is_some();
            let put = if replaces { Put::Replace } else { Put::Append };
            kernel.set_route(slot, SimRoute::through(via, index), put);
        }
    }
}

/// A new route of one of many shapes.
fn add(kernel: &mut Kernel, random: &mut Random, index: u32, is_free: impl Fn(&u32) -> bool) {
    let number = u8::try_from(random.below(6)).unwrap_or(0);
    let is_ipv4 = random.one_in(2);
    let slot: SimSlot = match is_ipv4 {
        true => (254, [10, 60, number, 0].into(), 24, 0),
        false => (254, [0x2001, 0xdb8, 60, u16::from(number), 0, 0, 0, 0].into(), 64, 1024),
    };
    let mut route = SimRoute::through(Some(gateway(random, is_ipv4, 9)), index);
    let sources = kernel.addresses.keys().filter(|own| own.1.is_ipv4() == is_ipv4);
    let sources: Vec<_> = sources.filter(|own| is_free(&own.0)).map(|own| own.1).collect();
    let others = kernel.links.iter().filter(|(at, link)| is_free(at) && link.up);
    let others: Vec<_> = others.map(|(at, _)| *at).filter(|at| *at != index).collect();
    match random.below(4) {
        0 => (route.via, route.source) = (None, random.pick(&sources).copied()),
        1 if is_ipv4 => (route.via, route.scope) = (None, 254),
        2 if is_ipv4 => {
            if let Some(&other) = random.pick(&others) {
                let hop = |via, dev| SimHop { via, dev, is_dead: false };
                let second = Some(gateway(random, true, 10));
                route.hops = vec![hop(route.via, index), hop(second, other)];
            }
        }
        _ => {}
    }
    kernel.set_route(slot, route, Put::Append);
}

/// An address that nobody declared.
fn gateway(random: &mut Random, is_ipv4: bool, number: u8) -> IpAddr {
    let subnet = u8::try_from(random.below(3)).unwrap_or(0);
    match is_ipv4 {
        true => [172, 16, subnet, number].into(),
        false => [0x2001, 0xdb8, 70, u16::from(subnet), 0, 0, 0, u16::from(number)].into(),
    }
}
