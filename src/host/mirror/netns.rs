//! What is known of other network namespaces. It is not told by the kernel but asked for, one
//! namespace at a time, so it is no table and no event tells of it.

use std::sync::Arc;

use super::Mirror;
use crate::model::netns::NamedNetns;

impl Mirror {
    /// That is known now of the namespace of that name; whether it is news.
    pub(crate) fn set_named_netns(&mut self, name: &Arc<str>, known: NamedNetns) -> bool {
        self.network.set_named_netns(name, known)
    }

    /// Others are looked for from now on.
    pub(crate) fn forget_named_netns(&mut self) {
        self.network.forget_named_netns();
    }
}
