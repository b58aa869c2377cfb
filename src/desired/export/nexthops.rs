//! Next hop objects.

use super::toml::{Field, inline, quoted};
use super::{Export, entry, not_ours, string, text};
use crate::model::nexthop::{Nexthop, RTNH_F_ONLINK};

impl Export<'_> {
    pub(super) fn nexthops(&self, document: &mut String) {
        // A group names its members.
        let (singles, groups): (Vec<_>, Vec<_>) =
            self.network.nexthops().partition(|it| it.group.is_empty());
        for it in singles.into_iter().chain(groups) {
            let special = match () {
                () if it.fdb => Some("it is for forwarding entries"),
                () if it.group_type != 0 => Some("it is a resilient group"),
                () => None,
            };
            let reason = not_ours(it.protocol).or(special.map(str::to_owned));
            entry(document, "nexthop", &self.nexthop(it), reason.as_deref());
        }
    }

    fn nexthop(&self, it: &Nexthop) -> Vec<Field> {
        let mut fields = vec![("id".to_owned(), it.id.to_string())];
        let mut push = |key: &str, value: String| fields.push((key.to_owned(), value));
        if let Some(via) = it.via {
            push("via", string(via));
        }
        if let Some(dev) = self.name(it.dev).filter(|_| !it.blackhole) {
            push("dev", quoted(&text(dev)));
        }
        if it.flags & RTNH_F_ONLINK != 0 {
            push("onlink", "true".to_owned());
        }
        if it.blackhole {
            push("blackhole", "true".to_owned());
        }
        if it.via.is_none() && it.is_ipv4 == Some(false) {
            push("family", quoted("inet6"));
        }
        let members = it.group.iter().map(|member| match member.weight {
            1 => member.id.to_string(),
            weight => inline(&[
                ("id".to_owned(), member.id.to_string()),
                ("weight".to_owned(), weight.to_string()),
            ]),
        });
        let members: Vec<_> = members.collect();
        if !members.is_empty() {
            push("group", format!("[{}]", members.join(", ")));
        }
        fields
    }
}
