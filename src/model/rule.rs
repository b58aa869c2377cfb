//! A policy rule as the kernel shows it in RTM_NEWRULE.
//!
//! Rules have no key and do not change: a rule is all that it says. The kernel lets two be alike
//! where someone adds one without NLM_F_EXCL; they count as one here.

use std::fmt;

use super::address::Prefix;
use super::object::ObjectId;
use super::route::table_name;
use super::text::LinkName;

/// FIB_RULE_INVERT (`linux/fib_rules.h`): holds for what does not match.
pub const FIB_RULE_INVERT: u32 = 0x2;
/// FR_ACT_TO_TBL: look the route up in a table.
pub const FR_ACT_TO_TBL: u8 = 1;
/// FR_ACT_GOTO: go on with another rule.
pub const FR_ACT_GOTO: u8 = 2;

/// FR_ACT_NOP: go on with the next rule.
pub const FR_ACT_NOP: u8 = 3;
/// FR_ACT_BLACKHOLE: drop in silence.
pub const FR_ACT_BLACKHOLE: u8 = 6;
/// FR_ACT_UNREACHABLE: refuse as unreachable.
pub const FR_ACT_UNREACHABLE: u8 = 7;
/// FR_ACT_PROHIBIT: refuse as prohibited.
pub const FR_ACT_PROHIBIT: u8 = 8;

/// The names of the actions (FR_ACT_*), by number, as `ip` prints them where they have one.
pub const ACTION_NAMES: &[&str] =
    &["unspec", "lookup", "goto", "nop", "3", "4", "blackhole", "unreachable", "prohibit"];

/// One rule of IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// Whether it is of IPv6.
    pub is_ipv6: bool,
    /// FRA_PRIORITY: the lowest comes first.
    pub priority: u32,
    /// FRA_SRC.
    pub src: Option<Prefix>,
    /// FRA_DST.
    pub dst: Option<Prefix>,
    /// FRA_IIFNAME: the incoming link, which need not exist; empty for any.
    pub iif: LinkName,
    /// FRA_OIFNAME; empty for any.
    pub oif: LinkName,
    /// FRA_FWMARK.
    pub fwmark: u32,
    /// FRA_FWMASK.
    pub fwmask: u32,
    /// The TOS byte; 0 for any.
    pub tos: u8,
    /// FRA_DSCP.
    pub dscp: Option<u8>,
    /// FRA_IP_PROTO; 0 for any.
    pub ip_protocol: u8,
    /// FRA_SPORT_RANGE.
    pub source_ports: Option<PortRange>,
    /// FRA_DPORT_RANGE.
    pub destination_ports: Option<PortRange>,
    /// FRA_UID_RANGE: the first and the last.
    pub uids: Option<(u32, u32)>,
    /// FRA_TUN_ID; 0 for any.
    pub tunnel_id: u64,
    /// FRA_L3MDEV: for what goes through the table of a VRF.
    pub l3mdev: bool,
    /// FIB_RULE_* flags, without those that change in silence.
    pub flags: u32,
    /// FR_ACT_*.
    pub action: u8,
    /// FRA_TABLE, for [`FR_ACT_TO_TBL`].
    pub table: u32,
    /// FRA_GOTO, for [`FR_ACT_GOTO`]: the priority to go on with.
    pub goto: u32,
    /// FRA_SUPPRESS_PREFIXLEN: routes with a prefix of that length or shorter do not count.
    pub suppress_prefix_len: Option<u32>,
    /// FRA_SUPPRESS_IFGROUP: routes through links of that group do not count.
    pub suppress_group: Option<u32>,
    /// FRA_FLOW: the realms, from and to.
    pub realms: u32,
    /// FRA_PROTOCOL: who added it, an RTPROT_* number.
    pub protocol: u8,
}

/// Ports, from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
    /// The bits of a port that count; 0xffff unless FRA_SPORT_MASK or FRA_DPORT_MASK say else.
    pub mask: u16,
}

impl Rule {
    /// Matches everything, and does nothing.
    pub fn new(is_ipv6: bool) -> Self {
        Self {
            is_ipv6,
            priority: 0,
            src: None,
            dst: None,
            iif: LinkName::default(),
            oif: LinkName::default(),
            fwmark: 0,
            fwmask: 0,
            tos: 0,
            dscp: None,
            ip_protocol: 0,
            source_ports: None,
            destination_ports: None,
            uids: None,
            tunnel_id: 0,
            l3mdev: false,
            flags: 0,
            action: 0,
            table: 0,
            goto: 0,
            suppress_prefix_len: None,
            suppress_group: None,
            realms: 0,
            protocol: 0,
        }
    }

    /// How plans and reports name it.
    pub fn id(&self) -> ObjectId {
        let Self { is_ipv6, priority, src, dst, .. } = *self;
        ObjectId::Rule { is_ipv6, priority, src, dst }
    }

    /// The same without what says nothing: the kernel keeps a table with actions that look nothing
    /// up, makes a mask for a mark that has none, and sets flags of its own.
    pub fn normal(mut self) -> Self {
        self.flags &= FIB_RULE_INVERT;
        if self.action != FR_ACT_TO_TBL || self.l3mdev {
            self.table = 0;
        }
        if self.action != FR_ACT_GOTO {
            self.goto = 0;
        }
        if self.fwmark != 0 && self.fwmask == 0 {
            self.fwmask = u32::MAX;
        }
        self
    }

    /// Whether both match and do the same, whoever added them.
    pub fn is_alike(&self, other: &Self) -> bool {
        Self { protocol: 0, ..self.normal() } == Self { protocol: 0, ..other.normal() }
    }

    /// The name of its action, where it has one.
    pub fn action_name(&self) -> Option<&'static str> {
        ACTION_NAMES.get(usize::from(self.action)).copied()
    }

    fn write_selector(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.flags & FIB_RULE_INVERT != 0 {
            f.write_str("not ")?;
        }
        match self.src {
            Some(src) => write!(f, "from {src}")?,
            None => f.write_str("from all")?,
        }
        self.dst.iter().try_for_each(|dst| write!(f, " to {dst}"))?;
        if self.tos != 0 {
            write!(f, " tos {:#x}", self.tos)?;
        }
        self.dscp.iter().try_for_each(|dscp| write!(f, " dscp {dscp}"))?;
        if self.fwmark != 0 || self.fwmask != 0 {
            write!(f, " fwmark {:#x}/{:#x}", self.fwmark, self.fwmask)?;
        }
        for (word, name) in [("iif", self.iif), ("oif", self.oif)] {
            if !name.is_empty() {
                write!(f, " {word} {name}")?;
            }
        }
        if self.l3mdev {
            f.write_str(" [l3mdev-table]")?;
        }
        self.uids.iter().try_for_each(|(first, last)| write!(f, " uidrange {first}-{last}"))?;
        if self.ip_protocol != 0 {
            write!(f, " ipproto {}", self.ip_protocol)?;
        }
        for (word, ports) in [("sport", self.source_ports), ("dport", self.destination_ports)] {
            ports.iter().try_for_each(|ports| write!(f, " {word} {ports}"))?;
        }
        match self.tunnel_id {
            0 => Ok(()),
            id => write!(f, " tun_id {id}"),
        }
    }
}

/// As `ip rule` prints it, with the priority at the end: `from 192.0.2.0/24 lookup 100 pref 5`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_selector(f)?;
        match (self.action, self.action_name()) {
            (FR_ACT_TO_TBL, _) => match table_name(self.table) {
                Some(name) => write!(f, " lookup {name}")?,
                None if self.l3mdev && self.table == 0 => {}
                None => write!(f, " lookup {}", self.table)?,
            },
            (FR_ACT_GOTO, _) => write!(f, " goto {}", self.goto)?,
            (_, Some(name)) => write!(f, " {name}")?,
            (action, None) => write!(f, " action {action}")?,
        }
        if let Some(len) = self.suppress_prefix_len {
            write!(f, " suppress_prefixlength {len}")?;
        }
        if let Some(group) = self.suppress_group {
            write!(f, " suppress_ifgroup {group}")?;
        }
        if self.realms != 0 {
            write!(f, " realms {}/{}", self.realms >> 16, self.realms & 0xffff)?;
        }
        write!(f, " pref {}", self.priority)
    }
}

/// `80`, `80-90`, and with a mask `80/0xff`.
impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.last != self.first {
            write!(f, "-{}", self.last)?;
        }
        match self.mask {
            0xffff => Ok(()),
            mask => write!(f, "/{mask:#x}"),
        }
    }
}
