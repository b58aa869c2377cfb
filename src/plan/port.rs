//! How a link becomes a port of its master, and what it is as one.

use super::Difference;
use super::diff::Diff;
use crate::desired::DesiredLink;
use crate::model::change::LinkUpdate;
use crate::model::kind::Kind;
use crate::model::link::Link;
use crate::model::text::LinkName;

impl Diff<'_> {
    /// The kind of a link that is there, or will be.
    fn kind_of(&self, name: LinkName) -> Option<&'static Kind> {
        let declared = self.declared(name).and_then(|link| link.settings);
        declared.map(|settings| settings.kind).or_else(|| {
            let found = self.observed.link_named(name)?;
            Kind::by_name(found.kind.as_bytes())
        })
    }

    /// Whether the declared link must be down when it joins its master.
    pub(super) fn joins_down(&self, wanted: &DesiredLink) -> bool {
        let kind = wanted.master.and_then(|master| self.kind_of(master));
        kind.is_some_and(|kind| kind.ports_join_down)
    }

    /// Such a link joins in a message of its own: in one that also brings it up it is up before
    /// it joins (`do_setlink` in net/core/rtnetlink.c).
    pub(super) fn join_first(
        &mut self,
        position: u32,
        wanted: &DesiredLink,
        update: &mut LinkUpdate,
        differences: &mut Vec<Difference>,
    ) {
        if update.up.is_none() || update.master.is_none() || !self.joins_down(wanted) {
            return;
        }
        let is_joining = |difference: &Difference| difference.key == "master";
        let (joining, others) = differences.drain(..).partition(is_joining);
        *differences = others;
        let master = update.master.take();
        let join = LinkUpdate { master, ..LinkUpdate::new(update.link) };
        self.set_link(position, join, joining, Vec::new());
    }

    /// What it shall be as a port, where it is none yet: the kernel takes that after it joined.
    pub(super) fn port_after_joining(&mut self, position: u32, wanted: &DesiredLink) {
        let Some(port) = wanted.port else { return };
        if let Some((changed, differences)) = self.differing(&port, None, |_| true) {
            let update = LinkUpdate { port: Some(changed), ..LinkUpdate::new(wanted.name) };
            self.set_link(position, update, differences, Vec::new());
        }
    }

    /// What it is as a port, where it is one of its declared master.
    pub(super) fn port(&mut self, position: u32, wanted: &DesiredLink, found: &Link) {
        let Some(port) = wanted.port else { return };
        let master = wanted.master.and_then(|master| self.observed.index_of(master));
        if master != Some(found.master) {
            return; // It cannot join yet, and that is told.
        }
        let now = found.port.map(|now| now.widened());
        if let Some((changed, differences)) = self.differing(&port, now.as_ref(), |_| true) {
            let update = LinkUpdate { port: Some(changed), ..LinkUpdate::new(wanted.name) };
            self.set_link(position, update, differences, Vec::new());
        }
    }
}
