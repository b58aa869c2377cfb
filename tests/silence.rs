//! What the kernel takes away or changes by itself, announced or not: after each such change the
//! mirror equals `ip`, and what went without a word is told as derived or as found by a dump.

mod common;

use std::process::{Child, Command, Stdio};

use common::churn::ip_sysctl;
use common::truth::Mirror;
use common::{in_namespace, ip, ip_batch, ip_json};
use ringlink::Watcher;
use ringlink::model::object::{Cause, Event, Object, What};

/// Two pairs, all up, an address each on `v0` and `v1`.
const LINKS: &str = "link add v0 type veth peer name p0\nlink add v1 type veth peer name p1\n\
                     link set v0 up\nlink set p0 up\nlink set v1 up\nlink set p1 up\n\
                     addr add 10.1.0.1/24 dev v0\naddr add 10.2.0.1/24 dev v1\n\
                     addr add 2001:db8:1::1/64 dev v0 nodad\n";

/// Routes of all sorts through `v0`.
const ROUTES: &str = "route add 10.7.0.0/24 via 10.1.0.9\n\
                      route add 10.7.1.0/24 via 10.1.0.9 table 77\n\
                      route add 10.7.2.0/24 dev v0 metric 5\n\
                      route add 10.7.3.0/24 dev v0 scope host\n\
                      route add 10.7.4.0/24 nexthop via 10.1.0.9 nexthop via 10.2.0.9\n\
                      route add 10.7.5.0/24 via 10.1.0.9 src 10.1.0.1\n\
                      route add blackhole 10.7.6.0/24\n\
                      route add 2001:db8:7::/64 via 2001:db8:1::9\n\
                      route add 2001:db8:7:1::/64 dev v0 table 77\n";

/// Sets up, watches, acts, and holds the mirror against `ip`; what was told of the act.
fn after(setup: &str, act: impl FnOnce()) -> Vec<Event> {
    for scope in ["all", "default"] {
        ip_sysctl(&format!("net/ipv6/conf/{scope}/dad_transmits"), "0");
    }
    ip_batch(&format!("{LINKS}{setup}"));
    let mut mirror = Mirror::open(Watcher::builder());
    mirror.becomes_true();
    mirror.events.clear();
    act();
    mirror.becomes_true();
    mirror.events
}

/// The causes of the deletions of the route to that prefix.
fn gone(events: &[Event], to: &str) -> Vec<Cause> {
    let causes = events.iter().filter_map(|event| match &event.what {
        What::Deleted(Object::Route(route)) if route.key.slot.to.to_string() == to => {
            Some(event.cause)
        }
        _ => None,
    });
    causes.collect()
}

/// Whether `ip` shows a route to that prefix.
fn has_route(to: &str) -> bool {
    let shown = ip_json("-4 route show table all").into_iter();
    shown.chain(ip_json("route show table all")).any(|route| route["dst"] == to)
}

#[track_caller]
fn assert_derived(events: &[Event], destinations: &[&str]) {
    for to in destinations {
        assert!(!has_route(to), "{to} is still there");
        assert_eq!(gone(events, to), [Cause::Derived], "{to}");
    }
}

/// Another network namespace, for as long as it lives.
struct Elsewhere(Child);

impl Elsewhere {
    fn new() -> Self {
        let mut child = Command::new("unshare");
        let child = child.args(["--net", "sleep", "600"]).stdin(Stdio::null()).spawn();
        let elsewhere = Self(child.expect("unshare starts"));
        let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let pid = elsewhere.0.id().to_string();
        let entered = common::eventually(std::time::Duration::from_secs(30), || {
            namespace(&pid) != namespace("thread-self")
        });
        assert!(entered, "the other namespace does not come");
        elsewhere
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn link_down_takes_ipv4_routes_in_silence() {
    in_namespace("link_down_takes_ipv4_routes_in_silence", || {
        let events = after(ROUTES, || {
            ip("link set v0 down");
        });
        assert_derived(&events, &["10.7.0.0/24", "10.7.1.0/24", "10.7.2.0/24", "10.7.5.0/24"]);
        assert!(has_route("10.7.3.0/24"), "one of scope host stays");
        assert!(gone(&events, "10.7.6.0/24").is_empty());
        assert_eq!(gone(&events, "2001:db8:7::/64"), [Cause::Notification]);
    });
}

#[test]
fn link_up_again_brings_back_what_the_kernel_makes() {
    in_namespace("link_up_again_brings_back_what_the_kernel_makes", || {
        after(ROUTES, || {
            ip_batch("link set v0 down\nlink set v0 up\n");
        });
        assert!(has_route("10.1.0.0/24") && !has_route("10.7.0.0/24"));
    });
}

#[test]
fn both_links_of_a_multipath_route_down() {
    in_namespace("both_links_of_a_multipath_route_down", || {
        let events = after(ROUTES, || {
            ip_batch("link set v0 down\nlink set v1 down\n");
        });
        assert!(!has_route("10.7.4.0/24"));
        assert_eq!(gone(&events, "10.7.4.0/24").len(), 1);
    });
}

#[test]
fn primary_address_deleted_without_promotion() {
    in_namespace("primary_address_deleted_without_promotion", || {
        ip_sysctl("net/ipv4/conf/all/promote_secondaries", "0");
        let setup = format!(
            "addr add 10.1.0.2/24 dev v0\naddr add 10.3.0.1/24 dev v0\n{ROUTES}\
             route add 10.7.8.0/24 via 10.1.0.9 src 10.1.0.2\n"
        );
        after(&setup, || {
            ip("addr del 10.1.0.1/24 dev v0");
        });
        let left = common::addresses_of("v0");
        assert!(!left.contains(&"10.1.0.2/24".to_owned()), "{left:?}");
    });
}

#[test]
fn primary_address_deleted_with_promotion() {
    in_namespace("primary_address_deleted_with_promotion", || {
        ip_sysctl("net/ipv4/conf/all/promote_secondaries", "1");
        let setup = format!("addr add 10.1.0.2/24 dev v0\n{ROUTES}");
        after(&setup, || {
            ip("addr del 10.1.0.1/24 dev v0");
        });
        let left = common::addresses_of("v0");
        assert!(left.contains(&"10.1.0.2/24".to_owned()), "{left:?}");
    });
}

#[test]
fn last_ipv4_address_gone_takes_every_route_of_the_link() {
    in_namespace("last_ipv4_address_gone_takes_every_route_of_the_link", || {
        let events = after(ROUTES, || {
            ip("addr del 10.1.0.1/24 dev v0");
        });
        assert_derived(&events, &["10.7.0.0/24", "10.7.1.0/24", "10.7.2.0/24", "10.7.3.0/24"]);
    });
}

#[test]
fn an_address_that_routes_leave_from_is_deleted() {
    in_namespace("an_address_that_routes_leave_from_is_deleted", || {
        let setup = "addr add 10.3.0.1/32 dev lo\naddr add 2001:db8:3::1/128 dev lo nodad\n\
                     route add 10.7.0.0/24 via 10.1.0.9 src 10.3.0.1\n\
                     route add 2001:db8:7::/64 via 2001:db8:1::9 src 2001:db8:3::1\n";
        after(setup, || {
            ip_batch("addr del 10.3.0.1/32 dev lo\naddr del 2001:db8:3::1/128 dev lo\n");
        });
        assert!(!has_route("10.7.0.0/24"));
    });
}

#[test]
fn a_deleted_link_takes_everything() {
    in_namespace("a_deleted_link_takes_everything", || {
        let events = after(ROUTES, || {
            ip("link del v0");
        });
        for to in ["10.7.0.0/24", "10.7.1.0/24", "10.7.2.0/24", "10.7.3.0/24", "10.7.4.0/24"] {
            assert_eq!(gone(&events, to).len(), 1, "{to}");
        }
    });
}

#[test]
fn a_moved_link_is_gone_and_comes_back_bare() {
    in_namespace("a_moved_link_is_gone_and_comes_back_bare", || {
        let elsewhere = Elsewhere::new();
        let events = after(ROUTES, || {
            ip(&format!("link set v0 netns {}", elsewhere.pid()));
        });
        for to in ["10.7.0.0/24", "10.7.1.0/24", "10.7.2.0/24", "10.7.3.0/24", "10.7.4.0/24"] {
            assert_eq!(gone(&events, to).len(), 1, "{to}");
        }
    });
}

#[test]
fn a_link_that_moves_away_and_back() {
    in_namespace("a_link_that_moves_away_and_back", || {
        let elsewhere = Elsewhere::new();
        after(ROUTES, || {
            ip(&format!("link set v0 netns {}", elsewhere.pid()));
            let own = std::process::id();
            let thread = nix::unistd::gettid();
            let back = Command::new("nsenter")
                .args(["--net", "--target", &elsewhere.pid().to_string()])
                .args(["ip", "link", "set", "v0", "netns"])
                .arg(format!("/proc/{own}/task/{thread}/ns/net"))
                .status();
            assert!(back.is_ok_and(|status| status.success()));
        });
        assert!(common::links().contains_key("v0"));
    });
}

#[test]
fn a_port_that_leaves_its_bridge_is_no_deleted_link() {
    in_namespace("a_port_that_leaves_its_bridge_is_no_deleted_link", || {
        let setup = "link add br0 type bridge\nlink set br0 up\nlink set v1 master br0\n";
        let events = after(setup, || {
            ip("link set v1 nomaster");
        });
        let is_gone = |event: &Event| matches!(event.what, What::Deleted(Object::Link(_)));
        assert!(!events.iter().any(is_gone));
    });
}

#[test]
fn a_deleted_bridge_lets_its_ports_go() {
    in_namespace("a_deleted_bridge_lets_its_ports_go", || {
        let setup = "link add br0 type bridge\nlink set br0 up\nlink set v1 master br0\n\
                     link set p0 master br0\naddr add 10.3.0.1/24 dev br0\n\
                     route add 10.8.0.0/24 via 10.3.0.9\n";
        after(setup, || {
            ip("link del br0");
        });
    });
}

#[test]
fn a_deleted_lower_link_takes_those_on_it() {
    in_namespace("a_deleted_lower_link_takes_those_on_it", || {
        let setup = "link add mv0 link v0 type macvlan mode bridge\nlink set mv0 up\n\
                     addr add 10.3.0.1/24 dev mv0\nroute add 10.8.0.0/24 via 10.3.0.9\n";
        after(setup, || {
            ip("link del p0");
        });
        assert!(!common::links().contains_key("mv0"));
    });
}

#[test]
fn a_deleted_nexthop_object_takes_its_routes() {
    in_namespace("a_deleted_nexthop_object_takes_its_routes", || {
        let setup = "nexthop add id 5 via 10.1.0.9 dev v0\nnexthop add id 6 via 10.2.0.9 dev v1\n\
                     nexthop add id 7 group 5/6\nnexthop add id 8 via 2001:db8:1::9 dev v0\n\
                     route add 10.7.0.0/24 nhid 5\nroute add 10.7.1.0/24 nhid 7\n\
                     route add 2001:db8:7::/64 nhid 8\n";
        let events = after(setup, || {
            ip("nexthop del id 5");
            ip("nexthop del id 8");
        });
        assert_derived(&events, &["10.7.0.0/24"]);
        assert!(!has_route("2001:db8:7::/64"));
        assert!(has_route("10.7.1.0/24"), "a group that has another member");
    });
}

#[test]
fn link_down_takes_nexthop_objects_and_their_routes() {
    in_namespace("link_down_takes_nexthop_objects_and_their_routes", || {
        let setup = "nexthop add id 5 via 10.1.0.9 dev v0\nnexthop add id 6 via 10.2.0.9 dev v1\n\
                     nexthop add id 7 group 5/6\nroute add 10.7.0.0/24 nhid 5\n\
                     route add 10.7.1.0/24 nhid 7\n";
        after(setup, || {
            ip("link set v0 down");
        });
        assert!(!has_route("10.7.0.0/24"));
    });
}

#[test]
fn a_replaced_nexthop_object_changes_its_routes() {
    in_namespace("a_replaced_nexthop_object_changes_its_routes", || {
        let setup = "nexthop add id 5 via 10.1.0.9 dev v0\nroute add 10.7.0.0/24 nhid 5\n\
                     nexthop add id 8 via 2001:db8:1::9 dev v0\n\
                     route add 2001:db8:7::/64 nhid 8\n";
        after(setup, || {
            ip("nexthop replace id 5 via 10.2.0.9 dev v1");
            ip("nexthop replace id 8 via 2001:db8:1::8 dev v0");
        });
    });
}

#[test]
fn an_mtu_below_what_ipv6_needs_takes_all_of_it() {
    in_namespace("an_mtu_below_what_ipv6_needs_takes_all_of_it", || {
        let events = after(ROUTES, || {
            ip("link set v0 mtu 1200");
        });
        assert!(!has_route("2001:db8:7::/64"));
        assert_eq!(gone(&events, "2001:db8:7::/64"), [Cause::Notification]);
    });
}

#[test]
fn the_mtu_of_an_ipv6_route_falls_with_that_of_its_link() {
    in_namespace("the_mtu_of_an_ipv6_route_falls_with_that_of_its_link", || {
        let setup = "route add 2001:db8:9::/64 via 2001:db8:1::9 mtu 1450\n\
                     route add 10.9.0.0/24 via 10.1.0.9 mtu 1450 advmss 1200\n\
                     route add 10.9.1.0/24 nexthop via 10.77.0.9 dev v0 onlink nexthop via 10.2.0.9\n";
        let events = after(setup, || {
            ip("link set v0 mtu 1400");
        });
        let found = events.iter().find_map(|event| match &event.what {
            What::Changed { after: Object::Route(route), .. } if !route.is_ipv4() => {
                Some((route.metrics.mtu, event.cause))
            }
            _ => None,
        });
        assert_eq!(found, Some((1400, Cause::Dump)), "{events:#?}");
    });
}

#[test]
fn labels_follow_the_name_of_their_link() {
    in_namespace("labels_follow_the_name_of_their_link", || {
        let setup = "addr add 10.1.1.1/24 dev v0 label v0:one\n";
        let events = after(setup, || {
            ip("link set v0 down");
            ip("link set v0 name w0");
        });
        let labels = events.iter().filter_map(|event| match &event.what {
            What::Changed { after: Object::Address(own), .. } => Some(own.label.to_string()),
            _ => None,
        });
        let labels: Vec<_> = labels.collect();
        assert!(labels.contains(&"w0:one".to_owned()), "{labels:?}");
    });
}

#[test]
fn ipv6_switched_off_takes_all_of_it() {
    in_namespace("ipv6_switched_off_takes_all_of_it", || {
        let events = after(ROUTES, || ip_sysctl("net/ipv6/conf/v0/disable_ipv6", "1"));
        assert!(!has_route("2001:db8:7::/64"));
        assert_eq!(gone(&events, "2001:db8:7::/64"), [Cause::Notification]);
    });
}

#[test]
fn ipv6_routes_that_go_in_silence_by_sysctl() {
    in_namespace("ipv6_routes_that_go_in_silence_by_sysctl", || {
        ip_sysctl("net/ipv6/route/skip_notify_on_dev_down", "1");
        let events = after(ROUTES, || {
            ip("link set v0 down");
        });
        for to in ["2001:db8:7::/64", "2001:db8:7:1::/64", "2001:db8:1::/64"] {
            assert!(!has_route(to));
            let causes = gone(&events, to);
            assert!(matches!(*causes, [Cause::Derived | Cause::Dump]), "{to}: {causes:?}");
        }
    });
}

/// Next hops on both sides of a route without a gateway, all of one slot: a dump shows the next
/// hops as one route and passes over what stands between them (`fib6_dump_node`).
const BETWEEN: &str = "route add 2001:db8:7::/64 via 2001:db8:1::8\n\
                       route append 2001:db8:7::/64 dev v0\n\
                       route append 2001:db8:7::/64 via 2001:db8:1::9\n";
const PARTED: &str = "route del 2001:db8:7::/64 via 2001:db8:1::8\n\
                      route del 2001:db8:7::/64 via 2001:db8:1::9\n";

#[test]
fn an_ipv6_route_between_next_hops_is_shown_no_more() {
    in_namespace("an_ipv6_route_between_next_hops_is_shown_no_more", || {
        let events = after("", || ip_batch(BETWEEN));
        assert_eq!(gone(&events, "2001:db8:7::/64"), [Cause::Dump]);
    });
}

#[test]
fn an_ipv6_route_that_was_hidden_from_the_start_comes_to_light() {
    in_namespace("an_ipv6_route_that_was_hidden_from_the_start_comes_to_light", || {
        after(BETWEEN, || ip_batch(PARTED));
        assert!(has_route("2001:db8:7::/64"));
    });
}

#[test]
fn an_ipv6_route_that_was_seen_to_be_hidden_comes_to_light() {
    in_namespace("an_ipv6_route_that_was_seen_to_be_hidden_comes_to_light", || {
        ip_batch(LINKS);
        let mut mirror = Mirror::open(Watcher::builder());
        for act in [BETWEEN, PARTED] {
            ip_batch(act);
            mirror.becomes_true();
        }
        assert!(has_route("2001:db8:7::/64"));
    });
}

#[test]
fn a_link_without_carrier_keeps_everything() {
    in_namespace("a_link_without_carrier_keeps_everything", || {
        let events = after(ROUTES, || {
            ip("link set p0 down");
        });
        assert!(has_route("10.7.0.0/24"));
        assert!(gone(&events, "10.7.0.0/24").is_empty());
    });
}

#[test]
fn addresses_that_stay_on_a_link_that_is_down() {
    in_namespace("addresses_that_stay_on_a_link_that_is_down", || {
        ip_sysctl("net/ipv6/conf/all/keep_addr_on_down", "1");
        after(ROUTES, || {
            ip("link set v0 down");
        });
        let kept = common::addresses_of("v0");
        assert!(kept.contains(&"2001:db8:1::1/64".to_owned()), "{kept:?}");
    });
}

#[test]
fn addresses_that_stayed_come_up_with_the_link() {
    in_namespace("addresses_that_stayed_come_up_with_the_link", || {
        ip_sysctl("net/ipv6/conf/all/keep_addr_on_down", "1");
        after(ROUTES, || {
            ip("link set v0 down");
            ip("link set v0 up");
        });
    });
}

/// On a link that is down the kernel tells of none of these; the news of its coming up has all.
#[test]
fn what_changed_on_a_link_that_was_down_is_known_when_it_is_up() {
    in_namespace("what_changed_on_a_link_that_was_down_is_known_when_it_is_up", || {
        let setup = "link add br0 type bridge\nlink add vx0 type vxlan id 42 dstport 4789 dev v1\n\
                     link add mv0 link v1 type macvlan mode bridge\n";
        let events = after(setup, || {
            ip_batch(
                "link set br0 group 7\nlink set br0 type bridge ageing_time 1000 stp_state 1\n\
                 link set vx0 group 8\nlink set vx0 type vxlan remote 10.2.0.9\n\
                 link set mv0 type macvlan mode private\nlink set mv0 group 9\n\
                 link set br0 up\nlink set vx0 up\nlink set mv0 up\n",
            );
        });
        let links = common::links();
        assert_eq!(links["br0"]["group"], "7");
        assert!(!events.is_empty());
    });
}

#[test]
fn what_changes_on_a_link_that_is_up() {
    in_namespace("what_changes_on_a_link_that_is_up", || {
        let setup = "link add br0 type bridge\nlink add vx0 type vxlan id 42 dstport 4789 dev v1\n\
                     link add mv0 link v1 type macvlan mode bridge\n\
                     link set br0 up\nlink set vx0 up\nlink set mv0 up\n";
        after(setup, || {
            ip_batch(
                "link set br0 group 7\nlink set br0 type bridge ageing_time 1000 stp_state 1\n\
                 link set vx0 group 8\nlink set vx0 type vxlan remote 10.2.0.9\n\
                 link set mv0 type macvlan mode private\nlink set mv0 group 9\n\
                 link set v1 promisc on\nlink set v1 multicast off\n\
                 link set v0 address 02:00:00:00:00:09\nlink set v0 mtu 1400\n",
            );
            // Kernels before 6.2 rename no link that is up.
            let rename = Command::new("ip").args(["link", "set", "v1", "name", "w1"]).output();
            assert!(rename.is_ok());
        });
    });
}

#[test]
fn a_pair_whose_ends_are_down_is_known_as_a_pair() {
    in_namespace("a_pair_whose_ends_are_down_is_known_as_a_pair", || {
        let events = after("", || {
            ip("link add v2 type veth peer name p2");
        });
        let is_derived = |event: &Event| event.cause == Cause::Derived;
        assert!(events.iter().any(is_derived), "{events:#?}");
    });
}

#[test]
fn replaced_and_appended_routes() {
    in_namespace("replaced_and_appended_routes", || {
        after(ROUTES, || {
            ip_batch(
                "route replace 10.7.0.0/24 via 10.1.0.8\nroute append 10.7.0.0/24 via 10.1.0.7\n\
                 route append 10.7.0.0/24 via 10.1.0.6\nroute replace 10.7.0.0/24 via 10.1.0.5\n\
                 route prepend 10.7.0.0/24 via 10.1.0.4\nroute del 10.7.0.0/24\n\
                 route replace 2001:db8:7::/64 via 2001:db8:1::8\n\
                 route append 2001:db8:7::/64 via 2001:db8:1::7\n\
                 route append 2001:db8:7::/64 via 2001:db8:1::6\n\
                 route replace 2001:db8:7::/64 via 2001:db8:1::5\n\
                 route append 2001:db8:7::/64 via 2001:db8:1::4\n\
                 route del 2001:db8:7::/64 via 2001:db8:1::5\n",
            );
        });
    });
}
