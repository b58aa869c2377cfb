//! Managers that say little of what they manage: they are found by what they were told.

use super::{Host, Listed, Managed, netns_of, setting};

impl Host<'_> {
    /// It takes all links that dhcpcd.conf(5) does not deny, or those that it was started with.
    pub(super) fn dhcpcd(&self) -> Option<Managed> {
        let named = self.named_in_arguments("dhcpcd");
        self.running("dhcpcd").next()?;
        let conf = self.read("etc/dhcpcd.conf").unwrap_or_default();
        let patterns = |key: &str| -> Vec<String> {
            let lines = conf.lines().filter_map(|line| line.trim().strip_prefix(key));
            let words = lines.filter(|rest| rest.starts_with([' ', '\t']));
            words.flat_map(str::split_whitespace).map(str::to_owned).collect()
        };
        let (denied, allowed) = (patterns("denyinterfaces"), patterns("allowinterfaces"));
        let has = |list: &[String], name: &str| list.iter().any(|it| is_like(it, name));
        let links = self.names_of(|link| {
            let is_wanted = named.is_empty() || named.contains(&link.name);
            let is_allowed = allowed.is_empty() || has(&allowed, &link.name);
            is_wanted && is_allowed && !has(&denied, &link.name)
        });
        (!links.is_empty()).then(|| Managed {
            manager: "dhcpcd",
            links,
            why: "it runs, and /etc/dhcpcd.conf does not deny them".to_owned(),
            remedy: "add to /etc/dhcpcd.conf".to_owned(),
            lines: vec![format!("denyinterfaces {}", self.names().join(" "))],
            then: "restart dhcpcd".to_owned(),
        })
    }

    /// Clients that are started for a link.
    pub(super) fn dhcp_clients(&self) -> Vec<Managed> {
        let mut found = Vec::new();
        for (client, end) in [("dhclient", "dhclient -r"), ("udhcpc", "kill the udhcpc of")] {
            let links = self.named_in_arguments(client);
            if links.is_empty() {
                continue;
            }
            let then = links.iter().map(|link| format!("{end} {link}")).collect::<Vec<_>>();
            found.push(Managed {
                manager: client,
                links,
                why: "it was started for them".to_owned(),
                remedy: "take it out of what starts it".to_owned(),
                lines: Vec::new(),
                then: then.join("; "),
            });
        }
        found
    }

    fn named_in_arguments(&self, name: &str) -> Vec<String> {
        self.names_of(|link| {
            let is_it =
                |word: &String| *word == link.name || word.strip_prefix("-i") == Some(&link.name);
            self.running(name).any(|process| process.words.iter().skip(1).any(is_it))
        })
    }

    /// It takes devices whose names do not begin as one on its list (connman.conf(5)).
    pub(super) fn connman(&self) -> Option<Managed> {
        self.running("connmand").next()?;
        let conf = self.read("etc/connman/main.conf").unwrap_or_default();
        let list = setting(&conf, "NetworkInterfaceBlacklist");
        // What it leaves alone where nothing is said.
        let list = list.unwrap_or_else(|| "vmnet,vboxnet,virbr,ve-,vb-".to_owned());
        let list: Vec<_> = list.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
        let is_on_it = |link: &Listed| list.iter().any(|it| link.name.starts_with(it));
        let links = self.names_of(|link| link.is_device && !is_on_it(link));
        let all = [&list[..], &self.names()[..]].concat();
        (!links.is_empty()).then(|| Managed {
            manager: "connman",
            links,
            why: "it runs, and takes every device that is not on its list".to_owned(),
            remedy: "say in /etc/connman/main.conf".to_owned(),
            lines: vec![
                "[General]".to_owned(),
                format!("NetworkInterfaceBlacklist={}", all.join(",")),
            ],
            then: "systemctl restart connman".to_owned(),
        })
    }

    /// It does not run: it acts at boot and when a device comes, in the first namespace.
    pub(super) fn ifupdown(&self) -> Option<Managed> {
        let (own, first) = (netns_of(self.root, "self"), netns_of(self.root, "1"));
        if own.is_some() && first.is_some() && own != first {
            return None;
        }
        let mut files = vec!["etc/network/interfaces".to_owned()];
        files.extend(self.files("etc/network/interfaces.d", ""));
        let mut lines = Vec::new();
        let mut links = Vec::new();
        for file in files {
            for line in self.read(&file).unwrap_or_default().lines() {
                let mut words = line.split_whitespace();
                let is_of_links = words.next().is_some_and(|word| {
                    matches!(word, "auto" | "iface") || word.starts_with("allow-")
                });
                let named: Vec<_> = words.filter(|word| self.names().contains(word)).collect();
                if is_of_links && !named.is_empty() {
                    lines.push(format!("/{file}: {}", line.trim()));
                    links.extend(named.into_iter().map(str::to_owned));
                }
            }
        }
        let links = self.names_of(|link| links.contains(&link.name));
        (!links.is_empty()).then(|| Managed {
            manager: "ifupdown",
            links,
            why: "it is told to bring them up".to_owned(),
            remedy: "take them out of these lines, and what belongs to an `iface` with it"
                .to_owned(),
            lines,
            then: "it forgets them at the next boot".to_owned(),
        })
    }

    /// It adds and removes addresses and routes; what it adds must not count as foreign.
    pub(super) fn keepalived(&self) -> Option<Managed> {
        self.running("keepalived").next()?;
        let conf = self.read("etc/keepalived/keepalived.conf").unwrap_or_default();
        let has = |name: &str| conf.split_whitespace().any(|word| word == name);
        let links = self.names_of(|link| link.removes_addresses && has(&link.name));
        let lines = links
            .iter()
            .flat_map(|link| [format!("[link.{link}]"), "extra_addresses = \"keep\"".to_owned()]);
        let lines = lines.collect();
        (!links.is_empty()).then(|| Managed {
            manager: "keepalived",
            links,
            why: "its addresses there would be removed as not declared".to_owned(),
            remedy: "say in the document".to_owned(),
            lines,
            then: "its routes are of protocol keepalived, and are left alone unless one says \
                   `takeover = true`"
                .to_owned(),
        })
    }

    /// Its routes are left alone by their protocols; what it configures of a link itself is not.
    pub(super) fn frr(&self) -> Option<Managed> {
        self.running("zebra").next()?;
        let (mut lines, mut links) = (Vec::new(), Vec::new());
        for file in ["etc/frr/frr.conf", "etc/frr/zebra.conf"] {
            let text = self.read(file).unwrap_or_default();
            let mut current: Option<&str> = None;
            for line in text.lines() {
                if !line.starts_with([' ', '\t']) {
                    let interface = line.strip_prefix("interface ");
                    current = interface.and_then(|rest| rest.split_whitespace().next());
                }
                let listed = current.filter(|name| self.names().contains(name));
                let Some(name) = listed else { continue };
                let own = ["ip address", "ipv6 address", "shutdown", "no shutdown"];
                if own.iter().any(|it| line.trim().starts_with(it)) {
                    if !links.contains(&name.to_owned()) {
                        lines.push(format!("interface {name}"));
                        links.push(name.to_owned());
                    }
                    lines.push(line.to_owned());
                }
            }
        }
        (!links.is_empty()).then(|| Managed {
            manager: "FRR",
            links,
            why: "zebra runs, and is told to configure them".to_owned(),
            remedy: "take out of /etc/frr/frr.conf".to_owned(),
            lines,
            then: "its routes are of the protocols of its daemons, and are left alone unless one \
                   says `takeover = true`"
                .to_owned(),
        })
    }
}

/// Whether a name is like a pattern of fnmatch(3): `*`, `?` and `[a-c]`.
fn is_like(pattern: &str, name: &str) -> bool {
    let (mut pattern_chars, mut name_chars) = (pattern.chars(), name.chars());
    match pattern_chars.next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = pattern_chars.as_str();
            let mut ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.any(|at| is_like(rest, &name[at..]))
        }
        Some('[') if pattern_chars.as_str().contains(']') => {
            let (set, rest) = pattern_chars.as_str().split_once(']').unwrap_or_default();
            let Some(letter) = name_chars.next() else { return false };
            is_in_set(set, letter) && is_like(rest, name_chars.as_str())
        }
        Some(own) => {
            let is_same = name_chars.next().is_some_and(|letter| own == '?' || own == letter);
            is_same && is_like(pattern_chars.as_str(), name_chars.as_str())
        }
    }
}

fn is_in_set(set: &str, letter: char) -> bool {
    let letters: Vec<_> = set.chars().collect();
    let is_in_range =
        letters.windows(3).any(|it| it[1] == '-' && (it[0]..=it[2]).contains(&letter));
    is_in_range || letters.contains(&letter)
}
