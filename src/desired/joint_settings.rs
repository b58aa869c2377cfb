//! The rules that join the settings of a link with one another, with the link below it and with its
//! owner; see `checks.rs` for who applies them.

use super::builder::LinkDeclaration;
use super::checks::About;
use super::joint::Joint;
use super::limits::MTU_IPV6_MIN;
use crate::model::kind::{DISABLE_IPV6, Value};

impl Joint<'_> {
    /// The kernel refuses an MTU above that of the link below it.
    pub(super) fn check_mtu_of_lower(&mut self, index: usize) {
        let link = &self.links[index];
        let bounded = link.settings.filter(|settings| settings.kind.mtu_within_lower);
        let Some((mtu, lower)) = link.mtu.zip(bounded.and_then(|settings| settings.lower())) else {
            return;
        };
        let Some(at) = self.by_name.get(&lower).copied() else { return };
        if let Some(below) = self.links[at].mtu.filter(|&below| below < mtu) {
            let name = link.name;
            let message = format!("an MTU of {mtu} for `{name}` on `{lower}`, which has {below}");
            let (about, other) = (About::link(index, "mtu"), About::link(at, "mtu"));
            self.push_against(about, other, message, "raise that one, or lower this one");
        }
    }

    pub(super) fn check_mtu(&mut self, index: usize) {
        let link = &self.links[index];
        let Some(mtu) = link.mtu.filter(|mtu| *mtu < MTU_IPV6_MIN) else {
            return;
        };
        let mut addresses = link.addresses.iter().flatten();
        if let Some(address) = addresses.find(|address| !address.prefix.is_ipv4()) {
            self.push(
                About::link(index, "mtu"),
                format!("an MTU of {mtu} leaves no IPv6, but `{}` has {address}", link.name),
                "IPv6 needs 1280: raise the MTU, or take the IPv6 addresses out",
            );
        }
    }

    /// Where IPv6 is turned off, or the MTU leaves none, nothing of it can be declared.
    pub(super) fn check_ipv6(&mut self, index: usize) {
        let link = &self.links[index];
        if link.mtu.is_some_and(|mtu| mtu < MTU_IPV6_MIN) {
            let of_ipv6 = link.common.iter().find(|(key, _)| key.name.starts_with("ipv6."));
            if let Some((key, _)) = of_ipv6 {
                let message =
                    format!("the MTU of `{}` leaves no IPv6 to set `{}` of", link.name, key.name);
                let help = "IPv6 needs 1280: raise the MTU, or take the setting out";
                self.push_against(
                    About::link(index, key.name),
                    About::link(index, "mtu"),
                    message,
                    help,
                );
            }
        }
        let mut addresses = link.addresses.iter().flatten().enumerate();
        let of_ipv6 = addresses.find(|(_, own)| !own.prefix.is_ipv4());
        if let Some((item, own)) = of_ipv6.filter(|_| is_ipv6_off(link)) {
            self.push_against(
                About::Link { index, key: "addresses", item },
                About::link(index, DISABLE_IPV6),
                format!("`{}` has {own}, but IPv6 is turned off on it", link.name),
                "take the IPv6 addresses out, or `disable`",
            );
        }
    }

    /// The group of a link is the mark of its owner.
    pub(super) fn check_group(&mut self, index: usize) {
        let link = &self.links[index];
        let Some((group, owner)) = link.group.zip(self.owner) else {
            return;
        };
        let (about, other) = (About::link(index, "group"), About::Owner { key: "name" });
        let name = link.name;
        if link.settings.is_some() || self.peer_of.contains_key(&name) {
            let message = format!("`{name}` is made by the owner, whose group is its mark");
            let help = "take `group` out; `group` of `[owner]` sets the one of all that it makes";
            self.push_against(about, other, message, help);
        } else if [owner.group, owner.doomed()].contains(&group) {
            let message = format!("group {group} marks what the owner made, and `{name}` is not");
            self.push_against(about, other, message, "choose another number");
        }
    }
}

pub(super) fn is_ipv6_off(link: &LinkDeclaration) -> bool {
    link.common.by_name(DISABLE_IPV6) == Some(Value::Bool(true))
}
