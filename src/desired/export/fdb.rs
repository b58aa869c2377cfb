//! Forwarding entries that were put there to stay.

use super::toml::{inline, quoted};
use super::{Export, string, text};
use crate::model::fdb::FdbEntry;
use crate::model::kind::Value;
use crate::model::link::Link;
use crate::model::neighbour::NTF_EXT_LEARNED;

impl Export<'_> {
    /// The entries of a link, without what a routing daemon put there, and what a tunnel has by
    /// its own `remote`.
    pub(super) fn fdb(&self, link: &Link) -> Vec<String> {
        let usual = link.settings.and_then(|settings| settings.by_name("remote"));
        let is_usual = |it: &FdbEntry| {
            let remote = it.remote.map(|it| Value::Address(it.dst));
            it.key.mac == [0; 6] && remote.is_some() && remote == usual
        };
        let own = self.network.fdb_of(link).filter(|it| {
            let is_learnt = it.flags & NTF_EXT_LEARNED != 0 || it.key.source_vni != 0;
            it.is_static() && !is_learnt && !is_usual(it)
        });
        own.map(|it| self.fdb_entry(it)).collect()
    }

    fn fdb_entry(&self, it: &FdbEntry) -> String {
        let mut fields = vec![("mac".to_owned(), string(it.mac()))];
        let mut push = |key: &str, value: String| fields.push((key.to_owned(), value));
        let mut number = |key: &str, value: u32| {
            if value != 0 {
                push(key, value.to_string());
            }
        };
        number("vid", it.key.vid.into());
        if let Some(remote) = it.remote {
            number("port", remote.port.into());
            number("vni", remote.vni);
            push("dst", string(remote.dst));
            if let Some(via) = self.name(remote.via) {
                push("via", quoted(&text(via)));
            }
        }
        inline(&fields)
    }
}
