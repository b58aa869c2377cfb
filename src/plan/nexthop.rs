//! Compares a declared next hop object with the one of its id.

use super::diff::{Diff, Subject};
use super::route::Way;
use super::{Difference, Rank, Reason, Shown};
use crate::desired::DesiredNexthop;
use crate::model::change::{Change, NexthopChange};
use crate::model::consequences::Trigger;
use crate::model::link::IFF_LOWER_UP;
use crate::model::nexthop::{Member, Nexthop, RTNH_F_ONLINK};
use crate::model::object::ObjectId;
use crate::model::route::{is_daemon_protocol, protocol_name};
use crate::model::text::LinkName;

impl Diff<'_> {
    pub(super) fn nexthop(&mut self, position: u32) {
        let desired = self.desired;
        let Some(wanted) = desired.nexthops.get(position as usize) else { return };
        let (subject, object) = (Subject::Nexthop(position), ObjectId::Nexthop(wanted.id));
        match self.nexthop_way(wanted) {
            Way::Open => {}
            Way::Suspended => return self.plan.suspended.push(object),
            Way::Blocked(reason) => return self.block(subject, object, reason),
        }
        // What cannot be used now joins the group when it can.
        let members = wanted.group.iter().copied().filter(|it| self.is_open(it));
        let change = NexthopChange {
            id: wanted.id,
            is_ipv6: wanted.is_ipv6,
            via: wanted.via,
            dev: wanted.dev,
            onlink: wanted.onlink,
            blackhole: wanted.blackhole,
            protocol: desired.protocol(),
            members: members.collect(),
        };
        let rank = Rank::Nexthop { is_group: !wanted.group.is_empty() };
        let Some(now) = self.observed.nexthop(wanted.id) else {
            let made = self.nexthop_differences(&change, None);
            let put = Change::PutNexthop { nexthop: change, replace: false };
            return self.step(subject, rank, put, made, Vec::new());
        };
        let differences = self.nexthop_differences(&change, Some(now));
        if differences.is_empty() {
            return;
        }
        let is_foreign = now.protocol != change.protocol;
        if is_foreign && is_daemon_protocol(now.protocol) && !wanted.takeover {
            let reason = Reason::HeldByDaemon { protocol: now.protocol };
            return self.block(subject, object, reason);
        }
        // A group and a single one do not take each other's place, nor does what is not for routes.
        let is_other = now.group.is_empty() != wanted.group.is_empty() || now.fdb;
        if is_other {
            let also_removes = self.taken(Trigger::NexthopGone(wanted.id));
            let removal = Change::DeleteNexthop(wanted.id);
            self.step(subject, rank, removal, differences.clone(), also_removes);
        }
        let put = Change::PutNexthop { nexthop: change, replace: !is_other };
        self.step(subject, rank, put, differences, Vec::new());
    }

    /// Whether a declared next hop can be there now.
    pub(super) fn nexthop_way(&self, wanted: &DesiredNexthop) -> Way {
        if !wanted.group.is_empty() {
            let ways = || wanted.group.iter().map(|member| self.way_of_nexthop(member.id));
            if ways().any(|way| matches!(way, Way::Open)) {
                return Way::Open;
            }
            let blocked = ways().find(|way| matches!(way, Way::Blocked(_)));
            return blocked.unwrap_or(Way::Suspended);
        }
        let Some(dev) = wanted.dev else { return Way::Open };
        let way = self.way(dev);
        // One that is still to be made is looked at again when it is there.
        let has_no_carrier =
            self.observed.link_named(dev).is_some_and(|link| link.flags & IFF_LOWER_UP == 0);
        match way {
            Way::Open if has_no_carrier => Way::Blocked(Reason::NoCarrier(dev)),
            way => way,
        }
    }

    /// The same of any, by its id.
    pub(super) fn way_of_nexthop(&self, id: u32) -> Way {
        let declared = self.index.nexthop(id);
        let declared = declared.and_then(|at| self.desired.nexthops.get(at as usize));
        if let Some(wanted) = declared {
            return match self.nexthop_way(wanted) {
                Way::Blocked(_) => Way::Blocked(Reason::NoSuchNexthop(id)),
                way => way,
            };
        }
        let now = self.observed.nexthop(id);
        let is_open = |id: u32| self.observed.nexthop(id).is_some_and(|it| self.stays(it));
        match now {
            Some(now) if now.group.is_empty() && self.stays(now) => Way::Open,
            Some(now) if now.group.iter().any(|member| is_open(member.id)) => Way::Open,
            _ => Way::Blocked(Reason::NoSuchNexthop(id)),
        }
    }

    /// Whether a single next hop does not go because its link is to go down.
    fn stays(&self, now: &Nexthop) -> bool {
        let dev = self.observed.name_of(now.dev).filter(|_| !now.blackhole);
        now.group.is_empty() && dev.is_none_or(|dev| matches!(self.way(dev), Way::Open))
    }

    fn is_open(&self, member: &Member) -> bool {
        matches!(self.way_of_nexthop(member.id), Way::Open)
    }

    fn nexthop_differences(
        &self,
        change: &NexthopChange,
        now: Option<&Nexthop>,
    ) -> Vec<Difference> {
        let mut out = Vec::new();
        let mut push = |key, from: Option<Shown>, to: Option<Shown>| {
            if from != to {
                out.push(Difference { key, from, to });
            }
        };
        let name = |index: u32| self.observed.name_of(index);
        // Of a blackhole the kernel has a link of its own.
        let dev_now = now.filter(|it| !it.blackhole && it.dev != 0);
        let is_same_dev = dev_now.is_some_and(|it| change.dev == name(it.dev));
        if change.group_is_empty() {
            push(
                "via",
                now.and_then(|it| it.via).map(Shown::Address),
                change.via.map(Shown::Address),
            );
            if !is_same_dev {
                let from = dev_now.map(|it| name(it.dev).map_or(it.dev.into(), Shown::Name));
                push("dev", from, change.dev.map(Shown::Name));
            }
            let word = |is_ipv6| if is_ipv6 { "inet6" } else { "inet" };
            if let Some(is_ipv4) = now.and_then(|it| it.is_ipv4) {
                push("family", Some(word(!is_ipv4).into()), Some(word(change.is_ipv6).into()));
            }
        }
        let switch = |is: bool| is.then_some(Shown::Bool(true));
        let flag = |it: &Nexthop| it.flags & RTNH_F_ONLINK != 0;
        push("onlink", now.and_then(|it| switch(flag(it))), switch(change.onlink));
        push("blackhole", now.and_then(|it| switch(it.blackhole)), switch(change.blackhole));
        push("fdb", now.and_then(|it| switch(it.fdb)), None);
        let mut is = now.map_or(Vec::new(), |it| it.group.to_vec());
        let mut wanted = change.members.to_vec();
        is.sort_unstable_by_key(|it| it.id);
        wanted.sort_unstable_by_key(|it| it.id);
        if is != wanted {
            let count = |group: &[Member]| {
                let len = u32::try_from(group.len()).unwrap_or(u32::MAX);
                (len != 0).then_some(Shown::from(len))
            };
            match count(&is) == count(&wanted) {
                // As many, and others, or of other weights.
                true => out.push(Difference { key: "group", from: None, to: count(&wanted) }),
                false => push("group", count(&is), count(&wanted)),
            }
        }
        if let Some(now) = now.filter(|now| now.protocol != change.protocol) {
            let shown = |it: u8| protocol_name(it).map_or(it.into(), Shown::Word);
            let (from, to) = (shown(now.protocol), shown(change.protocol));
            out.push(Difference::new("protocol", from, to));
        }
        out
    }
}

impl NexthopChange {
    /// Whether it is a single one.
    pub(super) fn group_is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

/// A next hop of `network` as the request that would make it; `None` where none can.
pub(super) fn spelled(
    now: &Nexthop,
    name: impl Fn(u32) -> Option<LinkName>,
) -> Option<NexthopChange> {
    let is_single = now.group.is_empty() && !now.blackhole;
    let dev = if is_single { Some(name(now.dev)?) } else { None };
    (!now.fdb && now.group_type == 0).then(|| NexthopChange {
        id: now.id,
        is_ipv6: now.is_ipv4 == Some(false),
        via: now.via,
        dev,
        onlink: now.flags & RTNH_F_ONLINK != 0,
        blackhole: now.blackhole,
        protocol: now.protocol,
        members: now.group.iter().copied().collect(),
    })
}
