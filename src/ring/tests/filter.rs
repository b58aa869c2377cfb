//! Filters in the kernel, beside what their interpreter in `wire/tests/` says of each datagram.

use std::fs;

use super::{Completion, Wait, config, events, in_namespace, ip, open};
use crate::limits::FILTER_DESTINATIONS_MAX;
use crate::model::address::Prefix;
use crate::model::filter::Filter;
use crate::model::network::Table;
use crate::model::network::Tables;
use crate::ring::{Ring, SocketId};
use crate::wire::filter::program;
use crate::wire::numbers::groups;
use crate::wire::tests::bpf;

fn batch(lines: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), lines).unwrap();
    ip(&["-batch", file.path().to_str().unwrap()]);
}

/// All that a person could do to links, addresses and routes, and the way back.
const HISTORY: &str = "\
link add v0 type veth peer name p0
link set v0 up
link set p0 up
addr add 10.1.0.1/24 dev v0
addr add 2001:db8:1::1/64 dev v0 nodad
route add 10.2.0.0/24 via 10.1.0.2 dev v0 proto 82
route replace 10.2.0.0/24 via 10.1.0.3 dev v0
route append 10.2.0.0/24 via 10.1.0.4 dev v0
route add 10.3.0.0/24 via 10.1.0.4 dev v0 table 1000
route add 10.3.0.0/24 via 10.1.0.4 dev v0 table 77 proto bgp
route add 10.4.0.0/16 proto bgp nexthop via 10.1.0.2 dev v0 nexthop via 10.1.0.3 dev v0
route add default via 10.1.0.2
route add blackhole 10.5.0.0/16
route add 2001:db8:2::/64 via 2001:db8:1::2 dev v0 proto 82
route append 2001:db8:2::/64 via 2001:db8:1::3 dev v0
route replace 2001:db8:2::/64 via 2001:db8:1::4 dev v0 proto bgp
route add ::/0 via 2001:db8:1::2 metric 7
route add 2001:db8:3::/64 dev v0 table 1000
route del default
route del blackhole 10.5.0.0/16
route del 10.4.0.0/16
route del ::/0
route del 2001:db8:2::/64
addr del 10.1.0.1/24 dev v0
link set v0 down
link del v0
";

/// What both sockets have received since the last time: all, and what was let through.
fn received(ring: &mut Ring, all: SocketId, some: SocketId) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut whole, mut passed) = (Vec::new(), Vec::new());
    ring.arm(all);
    ring.arm(some);
    loop {
        ring.enter(Wait::None).unwrap();
        let mut is_quiet = true;
        ring.reap(|completion| {
            if let Completion::Received(received) = completion {
                is_quiet = false;
                let list = if received.socket == all { &mut whole } else { &mut passed };
                list.push(received.bytes.to_vec());
            }
        });
        if is_quiet && ring.is_drained(all) && ring.is_drained(some) {
            return (whole, passed);
        }
    }
}

#[test]
fn the_kernel_drops_what_the_program_refuses_and_nothing_else() {
    in_namespace(|| {
        // Nothing of the kernel's own comes a moment later.
        for setting in ["default/addr_gen_mode", "all/addr_gen_mode"] {
            fs::write(format!("/proc/sys/net/ipv6/conf/{setting}"), "1").unwrap();
        }
        let mut ring = open(&config());
        let all = events(&mut ring, &groups(Tables::default()), 8 << 20);
        let some = events(&mut ring, &groups(Tables::default()), 8 << 20);
        let everything = Filter::everything;
        let prefix = |text: &str, len| Prefix { address: text.parse().unwrap(), len };
        let declared = [prefix("10.2.0.0", 24), prefix("2001:db8:2::", 64), prefix("0.0.0.0", 0)];
        let mut dropped = 0;
        for (number, filter) in [
            everything().protocols([82]),
            everything().protocols([82]).and_destinations(declared),
            everything().protocols([186, 3]).tables([77]),
            everything().tables([1000]),
            everything().objects([Table::Links]).links([1]),
            everything().objects([Table::Addresses]),
            everything().links([1]),
            everything().objects([]),
            everything(),
        ]
        .into_iter()
        .enumerate()
        {
            let program = program(&filter, FILTER_DESTINATIONS_MAX[0]);
            let raw = program.as_ref().map(|program| {
                let raw = program.iter().map(|it| libc::sock_filter {
                    code: it.code,
                    jt: it.jt,
                    jf: it.jf,
                    k: it.k,
                });
                raw.collect::<Vec<_>>()
            });
            ring.set_filter(some, raw.as_deref()).unwrap();
            batch(HISTORY);
            let (whole, passed) = received(&mut ring, all, some);
            assert!(whole.len() > 40, "filter {number}: only {} notifications", whole.len());
            let passes = |datagram: &&Vec<u8>| {
                program.as_ref().is_none_or(|program| bpf::run(program, datagram) != 0)
            };
            let expected: Vec<_> = whole.iter().filter(passes).collect();
            assert_eq!(passed.iter().collect::<Vec<_>>(), expected, "filter {number}");
            dropped += whole.len() - passed.len();
        }
        assert!(dropped > 100, "the filters dropped only {dropped}");
    });
}

#[test]
fn a_program_that_is_none_is_refused_and_the_one_before_it_stays() {
    in_namespace(|| {
        let mut ring = open(&config());
        let all = events(&mut ring, &groups(Tables::default()), 1 << 20);
        let some = events(&mut ring, &groups(Tables::default()), 1 << 20);
        let refuse_all = [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 }];
        ring.set_filter(some, Some(&refuse_all)).unwrap();
        let endless = vec![libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 1 }; 4097];
        assert_eq!(ring.set_filter(some, Some(&endless)), Err(libc::EINVAL));
        assert_eq!(ring.set_filter(some, Some(&[])), Err(libc::EINVAL));
        batch(HISTORY);
        let (whole, passed) = received(&mut ring, all, some);
        assert!(!whole.is_empty() && passed.is_empty());
        // Taken away twice, which is no error.
        ring.set_filter(some, None).unwrap();
        ring.set_filter(some, None).unwrap();
        batch(HISTORY);
        let (whole, passed) = received(&mut ring, all, some);
        assert_eq!(whole, passed);
    });
}
