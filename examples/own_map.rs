//! Keeps a map of its own, here from link to addresses, by the events alone, for ten seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ringlink::model::object::{Object, What};
use ringlink::{Batch, Wake, Watcher};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The watcher runs on a thread of its own; however slow this one is, the map ends up right.
    let mut handle = Watcher::spawn(Watcher::builder())?;
    let mut addresses = BTreeMap::<u32, BTreeSet<_>>::new();
    let mut batch = Batch::default();
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        if handle.next(&mut batch, Some(Duration::from_millis(500)))? == Wake::Deadline {
            continue;
        }
        for event in &batch {
            match &event.what {
                What::New(Object::Address(it))
                | What::Changed { after: Object::Address(it), .. } => {
                    addresses.entry(it.key.index).or_default().insert(it.key.prefix);
                }
                What::Deleted(Object::Address(it)) => {
                    addresses.entry(it.key.index).or_default().remove(&it.key.prefix);
                }
                What::Deleted(Object::Link(link)) => drop(addresses.remove(&link.index)),
                _ => {}
            }
        }
        println!("{addresses:?}");
    }
    Ok(())
}
