//! Who else manages the links of a document on this host, and what makes each leave them alone.
//!
//! Found by what is running (processes of this network namespace) and by what each says of its
//! links in files. All paths are below a root, so that a test can give a tree of its own.

mod others;

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use crate::desired::Desired;
use crate::limits::PROCESSES_MAX;
use crate::model::network::Network;

/// A link of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: String,
    /// Its index, where it exists.
    pub(super) index: Option<u32>,
    /// Whether it is a device that no kind made, which managers take unasked.
    pub(super) is_device: bool,
    /// Whether addresses that are not declared are taken away.
    pub(super) removes_addresses: bool,
}

/// The links of a document, as far as they are there.
pub(super) fn listed(desired: &Desired, network: Option<&Network>) -> Vec<Listed> {
    let desired = network.map_or(Cow::Borrowed(desired), |network| desired.resolve(network));
    let links = desired.links.iter().filter(|link| !desired.is_stand_in(link.name)).map(|link| {
        let found = network.and_then(|network| network.link_named(link.name));
        Listed {
            name: link.name.to_string(),
            index: found.map(|found| found.index),
            is_device: found.is_some_and(|found| found.kind.is_empty()),
            removes_addresses: link.addresses.is_some() && link.remove_extra_addresses,
        }
    });
    links.collect()
}

/// Another manager, and how to keep it off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Managed {
    pub(super) manager: &'static str,
    /// The links that it manages.
    pub(super) links: Vec<String>,
    /// By what it was found.
    pub(super) why: String,
    /// What to do with the lines, and with which file.
    pub(super) remedy: String,
    pub(super) lines: Vec<String>,
    /// What to do then.
    pub(super) then: String,
}

/// Everyone who manages one of `links` in the network namespace of this process.
pub(super) fn find(root: &Path, links: &[Listed], has_rules: bool) -> Vec<Managed> {
    let host = Host { root, processes: processes(root), links };
    let mut found = Vec::new();
    found.extend(host.networkd());
    found.extend(host.networkd_rules(has_rules));
    found.extend(host.network_manager());
    found.extend(host.dhcpcd());
    found.extend(host.dhcp_clients());
    found.extend(host.connman());
    found.extend(host.ifupdown());
    found.extend(host.keepalived());
    found.extend(host.frr());
    found
}

/// A process by its name, which the kernel cuts to 15 bytes, and its arguments.
struct Process {
    name: String,
    words: Vec<String>,
}

/// What is looked at.
struct Host<'a> {
    root: &'a Path,
    processes: Vec<Process>,
    links: &'a [Listed],
}

/// Names of processes that are looked for (TASK_COMM_LEN: 15 bytes).
const NAMES: &[&str] = &[
    "systemd-network",
    "NetworkManager",
    "dhcpcd",
    "dhclient",
    "udhcpc",
    "connmand",
    "keepalived",
    "zebra",
];

fn processes(root: &Path) -> Vec<Process> {
    let own = netns_of(root, "self");
    let Ok(entries) = fs::read_dir(root.join("proc")) else { return Vec::new() };
    let mut processes = Vec::new();
    for entry in entries.take(PROCESSES_MAX).flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        if !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let name = name.trim().to_owned();
        // Whose namespace may not be read is taken for one of this.
        let netns = netns_of(root, &pid);
        let is_elsewhere = netns.is_some() && own.is_some() && netns != own;
        if !NAMES.contains(&name.as_str()) || is_elsewhere {
            continue;
        }
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words = words.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        let words = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        processes.push(Process { name, words });
    }
    processes
}

fn netns_of(root: &Path, pid: &str) -> Option<PathBuf> {
    fs::read_link(root.join("proc").join(pid).join("ns/net")).ok()
}

impl Host<'_> {
    fn running(&self, name: &str) -> impl Iterator<Item = &Process> {
        self.processes.iter().filter(move |process| process.name == name)
    }

    fn read(&self, path: &str) -> Option<String> {
        let bytes = fs::read(self.root.join(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The files of a folder that end so, by name.
    fn files(&self, folder: &str, ending: &str) -> Vec<String> {
        let entries = fs::read_dir(self.root.join(folder)).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut files: Vec<_> = names
            .filter(|name| name.ends_with(ending))
            .map(|name| format!("{folder}/{name}"))
            .collect();
        files.sort();
        files
    }

    fn names(&self) -> Vec<&str> {
        self.links.iter().map(|link| link.name.as_str()).collect()
    }

    fn names_of(&self, is_it: impl Fn(&Listed) -> bool) -> Vec<String> {
        let links = self.links.iter().filter(|link| is_it(link));
        links.map(|link| link.name.clone()).collect()
    }

    /// Its name is cut, and that of `systemd-networkd-wait-online` is cut to the same.
    fn is_networkd_running(&self) -> bool {
        self.running("systemd-network").any(|process| {
            process.words.first().is_none_or(|word| word.ends_with("systemd-networkd"))
        })
    }

    /// ADMIN_STATE of `/run/systemd/netif/links/INDEX` (sd-network(3)).
    fn networkd(&self) -> Option<Managed> {
        if !self.is_networkd_running() {
            return None;
        }
        let mut why = Vec::new();
        let links = self.names_of(|link| {
            let Some(index) = link.index else { return false };
            let path = format!("run/systemd/netif/links/{index}");
            let text = self.read(&path).unwrap_or_default();
            let value =
                |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            let state = value("ADMIN_STATE").unwrap_or("unmanaged");
            !matches!(state, "unmanaged" | "pending" | "linger")
        });
        for link in self.links.iter().filter(|link| links.contains(&link.name)) {
            let path = format!("run/systemd/netif/links/{}", link.index.unwrap_or(0));
            let text = self.read(&path).unwrap_or_default();
            let file = text.lines().find_map(|line| line.strip_prefix("NETWORK_FILE="));
            why.push(match file {
                Some(file) => format!("{} by {file}", link.name),
                None => format!("{} by /{path}", link.name),
            });
        }
        let lines = [
            "[Match]".to_owned(),
            format!("Name={}", self.names().join(" ")),
            String::new(),
            "[Link]".to_owned(),
            "Unmanaged=yes".to_owned(),
            String::new(),
            "[Network]".to_owned(),
            "KeepConfiguration=yes".to_owned(),
        ];
        (!links.is_empty()).then(|| Managed {
            manager: "systemd-networkd",
            links,
            why: why.join(", "),
            remedy: "write /etc/systemd/network/00-ringlink.network".to_owned(),
            lines: lines.to_vec(),
            then: "networkctl reload".to_owned(),
        })
    }

    /// It removes every rule that is not its own when it starts (networkd.conf(5)).
    fn networkd_rules(&self, has_rules: bool) -> Option<Managed> {
        const KEY: &str = "ManageForeignRoutingPolicyRules";
        let mut files = vec!["etc/systemd/networkd.conf".to_owned()];
        for folder in ["usr/lib", "run", "etc"] {
            files.extend(self.files(&format!("{folder}/systemd/networkd.conf.d"), ".conf"));
        }
        let settings = files.iter().filter_map(|file| self.read(file));
        let last = settings.filter_map(|text| setting(&text, KEY)).next_back();
        let is_kept = last.is_some_and(|value| matches!(&*value, "no" | "false" | "0" | "off"));
        (has_rules && self.is_networkd_running() && !is_kept).then(|| Managed {
            manager: "systemd-networkd",
            links: Vec::new(),
            why: "it removes rules that it did not make when it starts".to_owned(),
            remedy: "write /etc/systemd/networkd.conf.d/10-ringlink.conf".to_owned(),
            lines: vec!["[Network]".to_owned(), format!("{KEY}=no")],
            then: "systemctl restart systemd-networkd".to_owned(),
        })
    }

    /// `managed` of `/run/NetworkManager/devices/INDEX`; a device without such a file is taken
    /// unless it is told otherwise.
    fn network_manager(&self) -> Option<Managed> {
        self.running("NetworkManager").next()?;
        let links = self.names_of(|link| {
            let Some(index) = link.index else { return false };
            let state = self.read(&format!("run/NetworkManager/devices/{index}"));
            match state.as_deref().and_then(|text| setting(text, "managed")) {
                Some(value) => value == "true",
                None => link.is_device,
            }
        });
        let all: Vec<_> =
            self.names().iter().map(|name| format!("interface-name:{name}")).collect();
        (!links.is_empty()).then(|| Managed {
            manager: "NetworkManager",
            links,
            why: "it runs, and has them among its devices".to_owned(),
            remedy: "write /etc/NetworkManager/conf.d/90-ringlink.conf".to_owned(),
            lines: vec![
                "[keyfile]".to_owned(),
                // `+=` adds to what other files say (NetworkManager.conf(5)).
                format!("unmanaged-devices+={}", all.join(";")),
            ],
            then: "systemctl reload NetworkManager".to_owned(),
        })
    }
}

/// The last value of `key=value` in a file of sections.
fn setting(text: &str, key: &str) -> Option<String> {
    let mut values = text.lines().filter_map(|line| {
        let (found, value) = line.trim().split_once('=')?;
        (found.trim() == key).then(|| value.trim().to_owned())
    });
    values.next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a temporary folder"))
        }

        fn file(self, path: &str, text: &str) -> Self {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a writable folder");
            fs::write(path, text).expect("a writable folder");
            self
        }

        fn process(self, pid: u32, name: &str, words: &[&str]) -> Self {
            self.file(&format!("proc/{pid}/comm"), &format!("{name}\n"))
                .file(&format!("proc/{pid}/cmdline"), &words.join("\0"))
        }

        fn netns(self, pid: &str, netns: &str) -> Self {
            let folder = self.0.path().join(format!("proc/{pid}/ns"));
            fs::create_dir_all(&folder).expect("a writable folder");
            std::os::unix::fs::symlink(netns, folder.join("net")).expect("a writable folder");
            self
        }

        fn find(&self) -> Vec<Managed> {
            find(self.0.path(), &links(), true)
        }

        /// Who manages what.
        fn who(&self) -> Vec<(&'static str, Vec<String>)> {
            self.find().into_iter().map(|it| (it.manager, it.links)).collect()
        }
    }

    fn links() -> Vec<Listed> {
        let link = |name: &str, index, is_device, removes_addresses| Listed {
            name: name.to_owned(),
            index,
            is_device,
            removes_addresses,
        };
        vec![
            link("eth0", Some(2), true, false),
            link("br0", Some(3), false, true),
            link("eth9", None, false, false),
        ]
    }

    fn of(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    const NETWORKD: &[&str] = &["/usr/lib/systemd/systemd-networkd"];

    #[test]
    fn nobody_is_found_where_nobody_runs() {
        let tree = Tree::new()
            .file("run/systemd/netif/links/2", "ADMIN_STATE=configured\n")
            .file("run/NetworkManager/devices/2", "[device]\nmanaged=true\n")
            .file("etc/keepalived/keepalived.conf", "interface br0\n")
            .process(7, "systemd-network", &["/usr/lib/systemd/systemd-networkd-wait-online"])
            .process(8, "sh", &["sh", "eth0"]);
        assert_eq!(tree.find(), []);
    }

    #[test]
    fn networkd_is_found_by_what_it_says_of_a_link() {
        let tree = Tree::new()
            .process(7, "systemd-network", NETWORKD)
            .file(
                "run/systemd/netif/links/2",
                "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/20-wired.network\n",
            )
            .file("run/systemd/netif/links/3", "ADMIN_STATE=unmanaged\n");
        let found = tree.find();
        assert_eq!(found.len(), 2, "{found:#?}");
        assert_eq!(found[0].links, of(&["eth0"]));
        assert!(found[0].why.contains("20-wired.network"), "{}", found[0].why);
        let text = found[0].lines.join("\n");
        assert!(
            text.starts_with("[Match]\nName=eth0 br0 eth9\n\n[Link]\nUnmanaged=yes\n"),
            "{text}"
        );
        // The rules of the document are in danger too, until it is told to leave them alone.
        assert_eq!(found[1].lines, of(&["[Network]", "ManageForeignRoutingPolicyRules=no"]));
        let tree = tree.file(
            "etc/systemd/networkd.conf.d/a.conf",
            "[Network]\nManageForeignRoutingPolicyRules = no\n",
        );
        assert_eq!(tree.find().len(), 1);
    }

    #[test]
    fn a_manager_of_another_namespace_has_no_part_in_this_one() {
        let tree = Tree::new()
            .process(7, "systemd-network", NETWORKD)
            .file("run/systemd/netif/links/2", "ADMIN_STATE=configured\n")
            .netns("self", "net:[1]")
            .netns("7", "net:[2]");
        assert_eq!(tree.find(), []);
    }

    #[test]
    fn network_manager_is_believed_where_it_says_so() {
        let tree = Tree::new().process(7, "NetworkManager", &["NetworkManager", "-n"]);
        assert_eq!(tree.who(), [("NetworkManager", of(&["eth0"]))]);
        let tree = tree
            .file("run/NetworkManager/devices/2", "[device]\nmanaged=false\n")
            .file("run/NetworkManager/devices/3", "[device]\nmanaged=true\n");
        assert_eq!(tree.who(), [("NetworkManager", of(&["br0"]))]);
        assert_eq!(
            tree.find()[0].lines[1],
            "unmanaged-devices+=interface-name:eth0;interface-name:br0;interface-name:eth9"
        );
    }

    #[test]
    fn dhcp_clients_are_found_by_what_they_are_told() {
        let tree = Tree::new().process(7, "dhcpcd", &["dhcpcd", "-q"]);
        assert_eq!(tree.who(), [("dhcpcd", of(&["eth0", "br0", "eth9"]))]);
        assert_eq!(tree.find()[0].lines, of(&["denyinterfaces eth0 br0 eth9"]));
        let tree = tree.file("etc/dhcpcd.conf", "# all\ndenyinterfaces br0 eth[0-8] wl*\n");
        assert_eq!(tree.who(), [("dhcpcd", of(&["eth9"]))]);
        let tree = tree.file("etc/dhcpcd.conf", "allowinterfaces wl*\n");
        assert_eq!(tree.who(), []);
        let one = Tree::new().process(7, "dhcpcd", &["dhcpcd", "br0"]).process(
            8,
            "dhclient",
            &["/sbin/dhclient", "-4", "eth0"],
        );
        assert_eq!(one.who(), [("dhcpcd", of(&["br0"])), ("dhclient", of(&["eth0"]))]);
    }

    #[test]
    fn connman_takes_devices_that_are_not_on_its_list() {
        let tree = Tree::new().process(7, "connmand", &["connmand"]);
        assert_eq!(tree.who(), [("connman", of(&["eth0"]))]);
        let list = "[General]\nNetworkInterfaceBlacklist=vmnet,eth\n";
        assert_eq!(tree.file("etc/connman/main.conf", list).who(), []);
    }

    #[test]
    fn ifupdown_is_found_by_its_file_with_the_lines_to_take_out() {
        let tree = Tree::new()
            .file("etc/network/interfaces", "auto lo eth0\niface lo inet loopback\n# auto br0\n")
            .file("etc/network/interfaces.d/eth0", "iface eth0 inet dhcp\n    mtu 1400\n");
        assert_eq!(tree.who(), [("ifupdown", of(&["eth0"]))]);
        let lines = of(&[
            "/etc/network/interfaces: auto lo eth0",
            "/etc/network/interfaces.d/eth0: iface eth0 inet dhcp",
        ]);
        assert_eq!(tree.find()[0].lines, lines);
        let elsewhere = tree.netns("self", "net:[2]").netns("1", "net:[1]");
        assert_eq!(elsewhere.find(), [], "it works in the first namespace");
    }

    #[test]
    fn keepalived_is_in_the_way_where_its_addresses_would_be_removed() {
        let conf = "vrrp_instance a {\n  interface eth0\n  virtual_ipaddress {\n    192.0.2.9/24 dev br0\n  }\n}\n";
        let tree = Tree::new()
            .process(7, "keepalived", &["keepalived"])
            .file("etc/keepalived/keepalived.conf", conf);
        assert_eq!(tree.who(), [("keepalived", of(&["br0"]))]);
        assert_eq!(tree.find()[0].lines, of(&["[link.br0]", "extra_addresses = \"keep\""]));
    }

    #[test]
    fn frr_is_in_the_way_where_it_configures_the_link_itself() {
        let conf = "interface eth0\n ip address 192.0.2.1/24\n description x\nexit\n!\n\
                    interface br0\n ip ospf cost 5\n!\nrouter ospf\n";
        let tree = Tree::new().process(7, "zebra", &["zebra"]).file("etc/frr/frr.conf", conf);
        assert_eq!(tree.who(), [("FRR", of(&["eth0"]))]);
        assert_eq!(tree.find()[0].lines, of(&["interface eth0", " ip address 192.0.2.1/24"]));
    }
}
