//! Counts the links of every network namespace in `ip netns list`, as they come and go. Needs
//! CAP_SYS_ADMIN.

use ringlink::{Batch, Watcher};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut watcher = Watcher::builder().all_netns().open()?;
    let mut batch = Batch::default();
    loop {
        watcher.next(&mut batch)?;
        for (id, network) in watcher.networks() {
            let name = watcher.netns_name(id).unwrap_or("(own)");
            println!("{name}: {} links", network.links().count());
        }
    }
}
