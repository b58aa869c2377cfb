//! Many network namespaces on one ring: named ones as they come and go, others by path and pid.

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::{eventually, ip, ip_json, slowness};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns};
use ringlink::model::object::{Event, NetnsId, Object, What};
use ringlink::{Batch, Netns, Wake, Watcher};

const PATIENCE: Duration = Duration::from_secs(30);

/// The tests of this file count the descriptors of their common process.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs `test` with a network namespace and a `/run/netns` of its own.
fn with_own_names(test: impl FnOnce()) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    common::with_own_names(test);
}

/// The link names of each namespace that is watched, folded from the events alone.
#[derive(Default)]
struct Fold {
    names: BTreeMap<NetnsId, String>,
    links: BTreeMap<NetnsId, BTreeMap<u32, String>>,
    last_seq: u64,
}

impl Fold {
    fn add(&mut self, event: &Event) {
        assert_eq!(event.seq, self.last_seq + 1, "{event:?}");
        self.last_seq = event.seq;
        match &event.what {
            What::NetnsAdded { name } => {
                assert_eq!(self.names.insert(event.netns, name.clone()), None);
            }
            What::NetnsRemoved => {
                assert!(self.names.remove(&event.netns).is_some());
                self.links.remove(&event.netns);
            }
            What::New(Object::Link(link)) | What::Changed { after: Object::Link(link), .. } => {
                let links = self.links.entry(event.netns).or_default();
                links.insert(link.index, link.name.to_string());
            }
            What::Deleted(Object::Link(link)) => {
                self.links.entry(event.netns).or_default().remove(&link.index);
            }
            _ => {}
        }
    }

    /// Reads on until `holds`; whether it came to that.
    fn read(&mut self, watcher: &mut Watcher, mut holds: impl FnMut(&Self) -> bool) -> bool {
        let end = Instant::now() + PATIENCE * slowness();
        let mut batch = Batch::default();
        loop {
            let wake = watcher.next_before(&mut batch, Some(Instant::now())).expect("it goes on");
            batch.iter().for_each(|event| self.add(event));
            if wake == Wake::Deadline && holds(self) {
                return true;
            }
            if Instant::now() > end {
                return false;
            }
            if wake == Wake::Deadline {
                let soon = Instant::now() + Duration::from_millis(5);
                watcher.next_before(&mut batch, Some(soon)).expect("it goes on");
                batch.iter().for_each(|event| self.add(event));
            }
        }
    }

    /// The links of each named namespace.
    fn named(&self) -> BTreeMap<String, Vec<String>> {
        let links_of = |id| {
            let links = self.links.get(id).into_iter().flatten();
            let mut names: Vec<_> = links.map(|(_, name)| name.clone()).collect();
            names.sort();
            names
        };
        self.names.iter().map(|(id, name)| (name.clone(), links_of(id))).collect()
    }
}

/// The same as `ip` shows it.
fn shown() -> BTreeMap<String, Vec<String>> {
    let links_of = |name: &str| {
        let links = ip_json(&format!("-n {name} link show"));
        let text =
            |link: &serde_json::Value| link["ifname"].as_str().unwrap_or_default().to_owned();
        let mut names: Vec<_> = links.iter().map(text).collect();
        names.sort();
        names
    };
    let list = ip_json("netns list");
    let names = list.iter().filter_map(|entry| entry["name"].as_str());
    names.map(|name| (name.to_owned(), links_of(name))).collect()
}

fn fds() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc").count()
}

/// A process in a network namespace of its own, until it is dropped.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        let own = std::fs::read_link("/proc/thread-self/ns/net").expect("/proc");
        let command = ["--net", "sleep", "600"];
        let child = Command::new("unshare").args(command).stdin(Stdio::null()).spawn();
        let child = child.expect("the tests need `unshare` of util-linux");
        let theirs = format!("/proc/{}/ns/net", child.id());
        let is_apart = || std::fs::read_link(&theirs).is_ok_and(|theirs| theirs != own);
        assert!(eventually(PATIENCE, is_apart));
        Self(child)
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn named_namespaces_are_followed_as_they_come_and_go() {
    with_own_names(|| {
        // Before there is a /run/netns: the first name makes it.
        let mut watcher = Watcher::builder().all_netns().open().expect("root may");
        let mut fold = Fold::default();
        assert!(fold.read(&mut watcher, |fold| fold.named().is_empty()));
        ip("netns add a");
        ip("-n a link add i0 type ifb");
        ip("netns add b");
        ip("-n b link add v0 type veth peer name v1");
        let expected = shown();
        assert_eq!(expected.len(), 2);
        assert!(fold.read(&mut watcher, |fold| fold.named() == expected), "{:?}", fold.named());

        // The same name again is another namespace.
        ip("netns del a");
        ip("netns add a");
        ip("-n a link add i1 type ifb");
        ip("-n b link del v0");
        ip("netns add c");
        let expected = shown();
        assert!(fold.read(&mut watcher, |fold| fold.named() == expected), "{:?}", fold.named());
        for (id, network) in watcher.networks().filter(|(id, _)| *id != NetnsId::HOME) {
            let mut names: Vec<_> = network.links().map(|link| link.name.to_string()).collect();
            names.sort();
            assert_eq!(names, expected[&fold.names[&id]]);
        }

        // One that was there before is found too.
        let mut second = Watcher::builder().all_netns().open().expect("root may");
        let mut found = Fold::default();
        assert!(found.read(&mut second, |found| found.named() == expected), "{:?}", found.named());

        for name in ["a", "b", "c"] {
            ip(&format!("netns del {name}"));
        }
        assert!(fold.read(&mut watcher, |fold| fold.names.is_empty()), "{:?}", fold.named());
    });
}

#[test]
fn a_name_that_is_mounted_after_it_was_made_is_found() {
    with_own_names(|| {
        ip("netns add a");
        let mut watcher = Watcher::builder().all_netns().open().expect("root may");
        let mut fold = Fold::default();
        assert!(fold.read(&mut watcher, |fold| fold.names.len() == 1));
        // As `ip netns add` does it, which inotify hears the first half of.
        File::create("/run/netns/late").expect("a file");
        let soon = Instant::now() + Duration::from_millis(50);
        while Instant::now() < soon {
            watcher.next_before(&mut Batch::default(), Some(soon)).expect("it goes on");
        }
        let sleeper = Sleeper::start();
        let theirs = format!("/proc/{}/ns/net", sleeper.0.id());
        let none = None::<&str>;
        mount(Some(theirs.as_str()), "/run/netns/late", none, MsFlags::MS_BIND, none)
            .expect("root may");
        assert!(fold.read(&mut watcher, |fold| fold.names.values().any(|name| name == "late")));
    });
}

#[test]
fn a_deleted_namespace_is_let_go_of() {
    with_own_names(|| {
        let mut watcher = Watcher::builder().all_netns().open().expect("root may");
        let mut fold = Fold::default();
        ip("netns add a");
        ip("link add out type veth peer name in netns a");
        assert!(fold.read(&mut watcher, |fold| {
            fold.named().get("a").is_some_and(|links| links.iter().any(|name| name == "in"))
        }));
        ip("netns del a");
        // A pair dies with the namespace of either end, which any socket of ours would keep.
        let is_gone = |fold: &Fold| !fold.links[&NetnsId::HOME].values().any(|name| name == "out");
        assert!(fold.read(&mut watcher, is_gone), "something keeps the namespace");
        assert!(fold.names.is_empty());
    });
}

#[test]
fn namespaces_are_added_by_path_and_pid_and_removed() {
    with_own_names(|| {
        let mut watcher = Watcher::builder().open().expect("a ring");
        let mut fold = Fold::default();
        assert!(fold.read(&mut watcher, |fold| fold.links.len() == 1));
        let (before, ring) = (fds(), watcher.ring_counters());

        let sleepers = [Sleeper::start(), Sleeper::start()];
        let [first, second] = [sleepers[0].0.id(), sleepers[1].0.id()];
        let by_pid = watcher.add(&Netns::Pid(first)).expect("a namespace");
        let path = format!("/proc/{second}/ns/net");
        let by_path = watcher.add(&Netns::parse(&path)).expect("a namespace");
        let inside = |pid: u32, words: &str| {
            let theirs = File::open(format!("/proc/{pid}/ns/net")).expect("/proc");
            std::thread::scope(|scope| {
                let work = || {
                    setns(&theirs, CloneFlags::CLONE_NEWNET).expect("root may");
                    ip(words)
                };
                scope.spawn(work).join().expect("ip does it");
            });
        };
        inside(first, "link add x1 type ifb");
        inside(second, "link add x2 type ifb");
        let has = |fold: &Fold, id, name: &str| {
            fold.links.get(&id).is_some_and(|links| links.values().any(|it| it == name))
        };
        assert!(
            fold.read(&mut watcher, |fold| has(fold, by_pid, "x1") && has(fold, by_path, "x2"))
        );
        assert!(!has(&fold, by_pid, "x2") && !has(&fold, by_path, "x1"));
        assert_eq!(fold.names[&by_pid], format!("pid {first}"));
        assert_eq!(fold.names[&by_path], path);

        assert!(!watcher.remove(NetnsId::HOME));
        for id in [by_pid, by_path] {
            assert!(watcher.remove(id));
            assert!(!watcher.remove(id));
            assert!(watcher.observed_in(id).is_none());
        }
        assert!(fold.read(&mut watcher, |fold| fold.names.is_empty()));
        drop(sleepers);
        let is_as_before = |watcher: &Watcher| {
            let now = watcher.ring_counters();
            (now.sockets, now.receives_in_flight) == (ring.sockets, ring.receives_in_flight)
        };
        assert!(fold.read(&mut watcher, |_| fds() == before));
        assert!(is_as_before(&watcher), "{:?}", watcher.ring_counters());

        let missing = watcher.add(&Netns::Name("none".to_owned())).unwrap_err().to_string();
        assert!(missing.contains("ip netns add"), "{missing}");
        let error = Watcher::builder().netns(Netns::parse("/proc/self/status")).open().unwrap_err();
        assert!(error.to_string().contains("not a network namespace"), "{error}");
    });
}

#[test]
fn a_watcher_is_opened_in_another_namespace_and_leaves_its_thread_where_it_was() {
    with_own_names(|| {
        ip("netns add a");
        ip("-n a link add i0 type ifb");
        let own = std::fs::read_link("/proc/thread-self/ns/net").expect("/proc");
        let netns = Netns::Name("a".to_owned());
        let mut watcher = Watcher::builder().netns(netns).open().expect("root may");
        assert_eq!(std::fs::read_link("/proc/thread-self/ns/net").expect("/proc"), own);
        watcher.sync(&mut Batch::default()).expect("a dump");
        assert!(watcher.observed().links().any(|link| link.name.to_string() == "i0"));
        drop(watcher);
        ip("netns del a");
    });
}

#[test]
fn two_hundred_idle_namespaces_cost_their_sockets_only() {
    const COUNT: usize = 200;
    with_own_names(|| {
        let mut watcher = Watcher::builder().all_netns().open().expect("root may");
        let mut fold = Fold::default();
        assert!(fold.read(&mut watcher, |fold| fold.links.len() == 1));
        let (before, ring) = (fds(), watcher.ring_counters());
        let names: String = (0..COUNT).map(|number| format!("netns add n{number}\n")).collect();
        common::ip_batch(&names);
        assert!(fold.read(&mut watcher, |fold| fold.links.len() == COUNT + 1));
        let now = watcher.ring_counters();
        assert_eq!(fds(), before + 2 * COUNT);
        assert_eq!(now.sockets, ring.sockets + 2 * COUNT);
        assert_eq!(now.free_event_buffers, ring.free_event_buffers);
        assert_eq!(now.free_reply_buffers, ring.free_reply_buffers);

        // Nothing that is idle wakes the ring.
        let soon = Instant::now() + Duration::from_millis(300);
        let wake = watcher.next_before(&mut Batch::default(), Some(soon)).expect("it goes on");
        assert_eq!(wake, Wake::Deadline);
        let enters = watcher.ring_counters().enters - now.enters;
        assert!(enters < 10, "{enters} turns for nothing");

        common::ip_batch(&names.replace("add", "del"));
        assert!(fold.read(&mut watcher, |fold| fold.links.len() == 1 && fds() == before));
        assert_eq!(watcher.ring_counters().sockets, ring.sockets);
    });
}
