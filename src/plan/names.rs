//! Compares what a link is known by beside its name.
//!
//! Creation ignores both an alias and alternative names and acknowledges them (KERNEL,
//! "creating"), so they go in messages of their own.

use super::diff::{Diff, Subject};
use super::{Difference, Rank, Shown};
use crate::desired::DesiredLink;
use crate::model::change::{Change, LinkUpdate};
use crate::model::identity::AltName;
use crate::model::link::Link;

impl Diff<'_> {
    pub(super) fn names(&mut self, position: u32, wanted: &DesiredLink, found: Option<&Link>) {
        let link = found.map_or(wanted.name, |found| found.name);
        let now = found.map_or(&[][..], Link::alias);
        if let Some(alias) = wanted.alias.as_deref().filter(|alias| alias.as_bytes() != now) {
            let update = LinkUpdate { alias: Some(*alias), ..LinkUpdate::new(link) };
            let shown = |bytes: &[u8]| (!bytes.is_empty()).then(|| Shown::from(bytes));
            let (from, to) = (shown(now), shown(alias.as_bytes()));
            let differences = vec![Difference { key: "alias", from, to }];
            self.set_link(position, update, differences, Vec::new());
        }
        let Some(altnames) = &wanted.altnames else { return };
        let now = found.map_or(&[][..], Link::altnames);
        for altname in now.iter().filter(|now| !altnames.contains(now)) {
            if wanted.remove_extra_altnames {
                self.altname(position, Change::DeleteAltname { link, altname: *altname }, altname);
            }
        }
        for altname in altnames.iter().filter(|wanted| !now.contains(wanted)) {
            self.altname(position, Change::AddAltname { link, altname: *altname }, altname);
        }
    }

    fn altname(&mut self, position: u32, change: Change, altname: &AltName) {
        let shown = Some(Shown::from(altname.as_bytes()));
        let is_added = matches!(change, Change::AddAltname { .. });
        let (from, to) = if is_added { (None, shown) } else { (shown, None) };
        let rank = match is_added {
            true => Rank::SetLink { depth: self.index.depth(position) },
            false => Rank::DeleteAltname,
        };
        let differences = vec![Difference { key: "altname", from, to }];
        self.step(Subject::Link(position), rank, change, differences, Vec::new());
    }
}
