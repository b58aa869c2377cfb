//! Which tables there are, and sets of them.

/// One of the tables, in the order in which they are read: what stands on others comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Table {
    /// All links.
    Links,
    /// The addresses of both families.
    Addresses,
    /// The next hop objects, which routes use.
    Nexthops,
    /// The routes of both families and every routing table.
    Routes,
    /// The neighbours of both families.
    Neighbours,
    /// The VLANs of bridges and their ports.
    BridgeVlans,
    /// The forwarding entries of bridges and tunnels that were put there to stay.
    Fdb,
    /// The rules of both families.
    Rules,
    /// The settings of both families on each link, on all, and by default.
    Netconf,
    /// The numbers of other network namespaces.
    Nsids,
}

impl Table {
    /// All of them, in their order.
    pub const ALL: [Self; 10] = [
        Self::Links,
        Self::Addresses,
        Self::Nexthops,
        Self::Routes,
        Self::Neighbours,
        Self::BridgeVlans,
        Self::Fdb,
        Self::Rules,
        Self::Netconf,
        Self::Nsids,
    ];

    /// The tables without whose news this one's would not be true: what the kernel takes away in
    /// silence goes with an object of theirs; and whose objects it names.
    pub(crate) const fn stands_on(self) -> &'static [Self] {
        match self {
            Self::Links | Self::Rules | Self::Nsids => &[],
            Self::Addresses
            | Self::Nexthops
            | Self::Neighbours
            | Self::BridgeVlans
            | Self::Fdb
            | Self::Netconf => &[Self::Links],
            Self::Routes => &[Self::Links, Self::Addresses],
        }
    }

    /// Whether the kernel may leave out of a dump of it what stood there throughout, when
    /// something else changed: it goes on at a position, and does not say what moved.
    pub const fn may_be_skipped(self) -> bool {
        matches!(
            self,
            Self::Routes | Self::Neighbours | Self::BridgeVlans | Self::Fdb | Self::Nsids
        )
    }

    /// Whether a kernel can be without it, and refuses its dump with EOPNOTSUPP: it is empty then.
    pub(crate) const fn may_be_lacking(self) -> bool {
        matches!(self, Self::BridgeVlans)
    }
}

/// A set of tables; links, addresses and routes unless others are named.
///
/// Links are in every set that is followed, and addresses where routes are: what the kernel
/// takes away with them it does not announce.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tables(u16);

impl Tables {
    /// None.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self(u16::MAX);

    /// The same, and that one.
    #[must_use]
    pub const fn with(self, table: Table) -> Self {
        Self(self.0 | 1 << table as u8)
    }

    /// The same, without that one.
    #[must_use]
    pub const fn without(self, table: Table) -> Self {
        Self(self.0 & !(1 << table as u8))
    }

    /// Those of both sets.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether it is among them.
    pub const fn contains(self, table: Table) -> bool {
        self.0 & 1 << table as u8 != 0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// They, in the order in which they are read.
    pub fn iter(self) -> impl Iterator<Item = Table> {
        Table::ALL.into_iter().filter(move |table| self.contains(*table))
    }

    /// They, and those that must be known to follow them.
    #[must_use]
    pub const fn with_what_they_stand_on(self) -> Self {
        let with_links = self.with(Table::Links);
        match self.contains(Table::Routes) {
            true => with_links.with(Table::Addresses),
            false => with_links,
        }
    }
}

impl Default for Tables {
    fn default() -> Self {
        Self::NONE.with(Table::Links).with(Table::Addresses).with(Table::Routes)
    }
}

impl FromIterator<Table> for Tables {
    fn from_iter<T: IntoIterator<Item = Table>>(tables: T) -> Self {
        tables.into_iter().fold(Self::NONE, Self::with)
    }
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_its_tables_in_order_and_what_they_stand_on() {
        let tables: Tables = [Table::Nsids, Table::Routes].into_iter().collect();
        assert_eq!(tables.iter().collect::<Vec<_>>(), [Table::Routes, Table::Nsids]);
        let all = tables.with_what_they_stand_on();
        assert_eq!(all, Tables::default().with(Table::Nsids));
        assert!(!tables.contains(Table::Links) && tables.without(Table::Nsids) != tables);
        assert_eq!(Tables::ALL.iter().count(), Table::ALL.len());
        let alone = Tables::NONE.with(Table::Rules).with_what_they_stand_on();
        assert!(!alone.contains(Table::Addresses));
    }
}
