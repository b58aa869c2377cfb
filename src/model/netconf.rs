//! The settings of IPv4 and IPv6 on a link, as the kernel shows them in RTM_NEWNETCONF: those of
//! /proc/sys/net/ipv4/conf and /proc/sys/net/ipv6/conf that it announces.
//!
//! A setting that was made by RTM_SETLINK (IFLA_INET_CONF) instead is announced as a change of
//! the link alone, if at all, and is not followed.

/// The names of the values of rp_filter, by number, as `ip` prints them.
pub const RP_FILTER_NAMES: &[&str] = &["off", "strict", "loose"];

/// What the settings are of: a link and a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetconfKey {
    /// Whether they are of IPv6.
    pub is_ipv6: bool,
    /// Whom they apply to.
    pub scope: NetconfScope,
}

/// Whom settings apply to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NetconfScope {
    /// `all` (NETCONFA_IFINDEX_ALL).
    All,
    /// `default` (NETCONFA_IFINDEX_DEFAULT): links that are made from now on, and on IPv4 those
    /// too for which a setting was never written.
    Default,
    /// The link of that index.
    Link(u32),
}

/// The settings; `None` where the kernel does not tell, which a family may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Netconf {
    /// What they are of.
    pub key: NetconfKey,
    /// NETCONFA_FORWARDING.
    pub forwarding: Option<i32>,
    /// NETCONFA_RP_FILTER.
    pub rp_filter: Option<i32>,
    /// NETCONFA_MC_FORWARDING.
    pub mc_forwarding: Option<i32>,
    /// NETCONFA_PROXY_NEIGH.
    pub proxy_neigh: Option<i32>,
    /// NETCONFA_IGNORE_ROUTES_WITH_LINKDOWN.
    pub ignore_routes_with_linkdown: Option<i32>,
    /// NETCONFA_BC_FORWARDING.
    pub bc_forwarding: Option<i32>,
}

impl Netconf {
    /// Nothing is known of it.
    pub fn new(key: NetconfKey) -> Self {
        Self {
            key,
            forwarding: None,
            rp_filter: None,
            mc_forwarding: None,
            proxy_neigh: None,
            ignore_routes_with_linkdown: None,
            bc_forwarding: None,
        }
    }

    /// What is known after this news, which may tell of a part, where `known` was.
    #[must_use]
    pub fn over(self, known: &Self) -> Self {
        Self {
            key: self.key,
            forwarding: self.forwarding.or(known.forwarding),
            rp_filter: self.rp_filter.or(known.rp_filter),
            mc_forwarding: self.mc_forwarding.or(known.mc_forwarding),
            proxy_neigh: self.proxy_neigh.or(known.proxy_neigh),
            ignore_routes_with_linkdown: self
                .ignore_routes_with_linkdown
                .or(known.ignore_routes_with_linkdown),
            bc_forwarding: self.bc_forwarding.or(known.bc_forwarding),
        }
    }

    /// Calls `name` with the JSON key of each field that differs from `before`.
    pub fn changed_keys(&self, before: &Self, mut name: impl FnMut(&'static str)) {
        let linkdown = |it: &Self| it.ignore_routes_with_linkdown;
        let differs = [
            (self.forwarding != before.forwarding, "forwarding"),
            (self.rp_filter != before.rp_filter, "rp_filter"),
            (self.mc_forwarding != before.mc_forwarding, "mc_forwarding"),
            (self.proxy_neigh != before.proxy_neigh, "proxy_neigh"),
            (linkdown(self) != linkdown(before), "ignore_routes_with_linkdown"),
            (self.bc_forwarding != before.bc_forwarding, "bc_forwarding"),
        ];
        differs.into_iter().filter(|(differs, _)| *differs).for_each(|(_, key)| name(key));
    }
}
