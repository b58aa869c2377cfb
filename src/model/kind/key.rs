//! One key of a table: what it is called, what it takes, and what a person needs to know of it.

/// One setting of a kind.
#[derive(Debug)]
pub struct Key {
    /// The name, as iproute2 spells it.
    pub name: &'static str,
    /// What values it takes.
    pub value: ValueType,
    /// Whether a document must give it.
    pub required: bool,
    /// Whether the kernel takes it at creation alone.
    pub only_at_creation: bool,
    /// Whether the kernel changes it only while the link is down.
    pub only_when_down: bool,
    /// Whether no request sets it, but its file under /proc/sys/net alone.
    pub by_file: bool,
    /// How the kernel tells that it changed, while the link is up. While it is down it tells of a
    /// few settings alone.
    pub news: News,
    /// How far the kernel's rounding may put a number from the one that was asked for.
    pub rounding: u32,
    /// What a number counts, where that is not plain.
    pub unit: Option<&'static str>,
    /// What the kernel takes where nothing is said, as a document would spell it; `None` where
    /// that is nothing, or depends.
    pub default: Option<&'static str>,
    /// One line for the documentation.
    pub doc: &'static str,
}

/// The type of a key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// `true` or `false`.
    Bool,
    /// A whole number between the two bounds, both included.
    Number {
        /// The least.
        min: u32,
        /// The greatest.
        max: u32,
    },
    /// One of these words, each with the kernel's number for it, which has 16 bits.
    Word(&'static [(&'static str, u32)]),
    /// An IPv4 or IPv6 address.
    Address,
    /// An IPv4 address.
    Ipv4Address,
    /// A range of UDP ports, each from 1 to 65535.
    Ports,
    /// The link this one stands on; it must exist first.
    Lower,
    /// The link that is created together with this one and deleted with it.
    Peer,
    /// The network namespace that the peer is in, by name or path.
    Netns,
}

/// How a change of a setting is told, whoever made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// By RTM_NEWLINK.
    Link,
    /// By RTM_NEWNETCONF, or RTM_NEWLINK, or neither, as it was made.
    Netconf,
    /// It is not told, save by chance with other news of the link.
    Never,
}

impl ValueType {
    /// The room of a value in [`Settings`](super::Settings), in units of 16 bits.
    pub(super) const fn units(self) -> usize {
        match self {
            Self::Bool => 0,
            Self::Number { max, .. } => 1 + (max > 0xffff) as usize,
            Self::Word(_) | Self::Netns => 1,
            Self::Ipv4Address | Self::Ports => 2,
            Self::Address | Self::Lower | Self::Peer => 8,
        }
    }
}

/// How the tables are written: a key of a type, and what is peculiar to it.
impl Key {
    const fn new(name: &'static str, value: ValueType, doc: &'static str) -> Self {
        Self {
            name,
            value,
            required: false,
            only_at_creation: false,
            only_when_down: false,
            by_file: false,
            news: News::Link,
            rounding: 0,
            unit: None,
            default: None,
            doc,
        }
    }

    pub(super) const fn bool(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, ValueType::Bool, doc)
    }

    pub(super) const fn number(name: &'static str, min: u32, max: u32, doc: &'static str) -> Self {
        Self::new(name, ValueType::Number { min, max }, doc)
    }

    pub(super) const fn words(
        name: &'static str,
        words: &'static [(&'static str, u32)],
        doc: &'static str,
    ) -> Self {
        Self::new(name, ValueType::Word(words), doc)
    }

    pub(super) const fn address(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, ValueType::Address, doc)
    }

    pub(super) const fn ipv4_address(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, ValueType::Ipv4Address, doc)
    }

    pub(super) const fn ports(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, ValueType::Ports, doc)
    }

    pub(super) const fn lower(doc: &'static str) -> Self {
        Self::new("dev", ValueType::Lower, doc)
    }

    pub(super) const fn peer(doc: &'static str) -> Self {
        Self::new("peer", ValueType::Peer, doc)
    }

    pub(super) const fn netns(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, ValueType::Netns, doc)
    }

    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(super) const fn only_at_creation(mut self) -> Self {
        self.only_at_creation = true;
        self
    }

    pub(super) const fn only_when_down(mut self) -> Self {
        self.only_when_down = true;
        self
    }

    pub(super) const fn by_file(mut self) -> Self {
        self.by_file = true;
        self.unannounced()
    }

    pub(super) const fn unannounced(mut self) -> Self {
        self.news = News::Never;
        self
    }

    /// Told of by RTM_NEWNETCONF where its file was written.
    pub(super) const fn netconf(mut self) -> Self {
        self.news = News::Netconf;
        self
    }

    /// Hundredths of a second (USER_HZ), which the kernel rounds to its own ticks.
    pub(super) const fn clock(mut self) -> Self {
        self.unit = Some("1/100 s");
        self.rounding = 1;
        self
    }

    pub(super) const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = Some(unit);
        self
    }

    pub(super) const fn default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }
}

impl Key {
    /// The word for a kernel number, where the key takes words and knows it.
    pub fn word(&self, number: u32) -> Option<&'static str> {
        let ValueType::Word(words) = self.value else {
            return None;
        };
        words.iter().find(|(_, known)| *known == number).map(|(word, _)| *word)
    }
}
