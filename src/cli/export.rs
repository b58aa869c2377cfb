//! `export`: the network as a document.

use std::fs;

use super::exit::{Exit, Failure};
use super::out::Out;
use super::start;
use crate::desired::Desired;
use crate::model::link::Link;
use crate::model::network::{Table, Tables};
use crate::model::text::Mac;
use crate::ring::signals::Signals;
use crate::watcher::{Batch, Watcher};

/// NET_ADDR_SET (`linux/netdevice.h`): someone chose the address.
const NET_ADDR_SET: &str = "3";

/// Reads the network once and writes it as a document.
pub(super) fn export(signals: Signals, out: &mut Out) -> Result<Exit, Failure> {
    if out.json {
        let message = "`export` writes TOML; for JSON see `ringlink show --json`";
        return Err(Failure::Usage(message.to_owned()));
    }
    let others = [Table::Rules, Table::Neighbours, Table::BridgeVlans, Table::Fdb, Table::Nexthops];
    let tables = Tables::default().and(others.into_iter().collect());
    let mut watcher = Watcher::builder().tables(tables).open()?;
    let canceller = watcher.canceller();
    start::on_signal(signals, move || canceller.cancel())?;
    if !watcher.sync(&mut Batch::default())? {
        return Err(Failure::Interrupted);
    }
    out.text(Desired::export(watcher.observed(), is_pinned))?;
    Ok(Exit::Clean)
}

/// Whether someone chose the hardware address of a link, as far as /sys tells: it may be that of
/// another namespace, so it must speak of the same link.
fn is_pinned(link: &Link) -> bool {
    let Ok(name) = std::str::from_utf8(link.name.as_bytes()) else {
        return false;
    };
    let read = |file: &str| fs::read_to_string(format!("/sys/class/net/{name}/{file}"));
    let says = |file: &str, wanted: &str| read(file).is_ok_and(|text| text.trim_end() == wanted);
    let has_mac =
        read("address").is_ok_and(|text| Mac::parse_ethernet(text.trim_end()) == Some(link.mac));
    has_mac && says("ifindex", &link.index.to_string()) && says("addr_assign_type", NET_ADDR_SET)
}
