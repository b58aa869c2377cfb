//! The table of all kinds and keys in the documentation is what the key tables say.

use std::fmt::Write as _;
use std::path::Path;

use ringlink::model::kind::{Key, Kind, News, ValueType};

const PAGE: &str = "docs/keys.md";

const HEAD: &str = "\
# Kinds of links and their keys

Made from the key tables (`src/model/kind/`) by `RINGLINK_BLESS=1 cargo test --test keys`. Every key is
declared, applied, compared with `ip -d -j`, planned anew, exported, changed and destroyed by `tests/kinds.rs`,
on the kernels of `scripts/kernels`. What is not given is left alone: a default is what the kernel takes for a new link.
A key that is set *at creation* only cannot be changed afterwards: where it differs `plan` says so, and
`--recreate` makes the link anew. One that is set *while down* takes an up link down for that moment.
";

#[test]
fn the_page_of_keys_is_what_the_tables_say() {
    let text = page();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    if std::env::var_os("RINGLINK_BLESS").is_some() {
        std::fs::write(&path, &text).expect("the page can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "{PAGE} is not what the tables say: RINGLINK_BLESS=1 cargo test --test keys makes it anew"
    );
}

fn page() -> String {
    let mut text = HEAD.to_owned();
    let _ = write!(
        text,
        "\n## Every link\n\n{}; these stand in the link's own block. \
        A dotted key is one of a table too: `ipv4 = {{ forwarding = true }}`. \
        Those marked *read again* the kernel changes without telling: `run` reads them every 30 s, \
        and of links that are down the settings of their kind too. \
        All of `ipv6` but `addr_gen_mode` is written under /proc/sys/net, and written before a new \
        link comes up; what `disable = true` takes away does not come back by itself.\n",
        { sentence(Kind::LINK.doc) }
    );
    table(&mut text, Kind::LINK.keys);
    for kind in Kind::ALL {
        let _ = write!(text, "\n## {}\n\n{}.\n", kind.name, sentence(kind.doc));
        table(&mut text, kind.keys);
        for (word, keys) in kind.shorthands {
            let keys: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
            let _ = write!(text, "\n`{word}` sets {}.\n", keys.join(" and "));
        }
        if let Some(port) = kind.port {
            let _ = write!(
                text,
                "\n### port\n\n{}: `port = {{ ... }}` of a link whose `master` is a \
                                  {}.\n",
                sentence(port.doc),
                kind.name
            );
            table(&mut text, port.keys);
        }
    }
    text
}

fn table(text: &mut String, keys: &[Key]) {
    if keys.is_empty() {
        text.push_str("\nIt takes no keys.\n");
        return;
    }
    text.push_str("\n| key | value | default | set | |\n|---|---|---|---|---|\n");
    for key in keys {
        let default = match key.default {
            _ if key.required => "(required)".to_owned(),
            Some(default) => format!("`{default}`"),
            None => String::new(),
        };
        let when = match (key.only_at_creation, key.only_when_down) {
            (true, _) => "at creation",
            (_, true) => "while down",
            _ if key.news == News::Never => "read again",
            _ => "",
        };
        let value = value(key);
        let _ = writeln!(text, "| `{}` | {value} | {default} | {when} | {} |", key.name, key.doc);
    }
}

fn value(key: &Key) -> String {
    let unit = key.unit.map(|unit| format!(", in {unit}")).unwrap_or_default();
    match key.value {
        ValueType::Bool => "`true`, `false`".to_owned(),
        ValueType::Number { min, max } => format!("{min} to {max}{unit}"),
        ValueType::Word(words) => {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            words.join(", ")
        }
        ValueType::Address => "an IPv4 or IPv6 address".to_owned(),
        ValueType::Ipv4Address => "an IPv4 address".to_owned(),
        ValueType::Ports => "a port, or a range like `\"49152-65535\"`".to_owned(),
        ValueType::Lower | ValueType::Peer => "a link".to_owned(),
        ValueType::Netns => "a name of `ip netns`, or a path".to_owned(),
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
