//! In which order MTUs change: they rise from the ground up and fall from the top down, so that
//! none is ever larger than the one below it allows, which the kernel refuses.

use std::cmp::Reverse;

use super::diff::{Diff, Subject};
use super::{Difference, Rank};
use crate::desired::DesiredLink;
use crate::limits::LINK_DEPTH_MAX;
use crate::model::change::{Change, LinkUpdate};
use crate::model::kind::Kind;
use crate::model::link::Link;
use crate::model::text::LinkName;

impl Diff<'_> {
    /// The MTU of a link that is there. One that rises goes along with what else changes, in the
    /// order of links; one that falls falls before that.
    pub(super) fn mtu(
        &mut self,
        position: u32,
        wanted: &DesiredLink,
        found: &Link,
        update: &mut LinkUpdate,
        differences: &mut Vec<Difference>,
    ) {
        let Some(mtu) = wanted.mtu.filter(|&mtu| mtu != found.mtu) else { return };
        let difference = Difference::new("mtu", found.mtu, mtu);
        if mtu > found.mtu {
            update.mtu = Some(mtu);
            differences.push(difference);
            return;
        }
        let falls = LinkUpdate { mtu: Some(mtu), ..LinkUpdate::new(found.name) };
        let rank = Rank::LowerMtu { depth: Reverse(self.index.depth(position)) };
        let change = Change::from(falls);
        self.step(Subject::Link(position), rank, change, vec![difference], Vec::new());
    }

    /// The MTU that a link is made with: none where the one below it is to rise first. It is set
    /// afterwards then.
    pub(super) fn mtu_at_creation(&self, wanted: &DesiredLink) -> Option<u32> {
        let mut mtu = wanted.mtu;
        let mut link = wanted;
        for _ in 0..LINK_DEPTH_MAX {
            let Some(lower) = link.settings.and_then(|settings| settings.lower()) else { break };
            if let Some(found) = self.observed.link_named(lower) {
                mtu = mtu.filter(|&mtu| mtu <= found.mtu);
                break;
            }
            let Some(below) = self.declared(lower) else { break };
            link = below;
        }
        mtu
    }

    /// A link that joins may take the MTU of its master down to its own (`br_mtu_auto_adjust` in
    /// net/bridge/br_if.c). One that is set after that stays.
    pub(super) fn mtu_of_master(
        &mut self,
        position: u32,
        wanted: &DesiredLink,
        found: Option<&Link>,
    ) {
        let master = wanted.master.and_then(|master| Some((self.index.link(master)?, master)));
        let Some((at, name)) = master else { return };
        let declared = self.desired.links.get(at as usize);
        let follows = |kind: &'static Kind| kind.mtu_follows_ports;
        let mtu = declared.filter(|it| it.settings.is_some_and(|it| follows(it.kind)));
        let Some(mtu) = mtu.and_then(|master| master.mtu) else { return };
        let own = wanted.mtu.or(found.map(|found| found.mtu));
        if let Some(own) = own.filter(|&own| own < mtu) {
            self.set_mtu_after_joining(position, name, own, mtu);
        }
    }

    fn set_mtu_after_joining(&mut self, position: u32, master: LinkName, from: u32, to: u32) {
        let update = LinkUpdate { mtu: Some(to), ..LinkUpdate::new(master) };
        let change = Change::from(update);
        let differences = vec![Difference::new("mtu", from, to)];
        self.step(Subject::Link(position), Rank::MtuAfterPorts, change, differences, Vec::new());
    }
}
