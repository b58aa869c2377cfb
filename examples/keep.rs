//! Keeps the mtu of the loopback for ten seconds. Needs CAP_NET_ADMIN; try `unshare -Urn`.

use std::time::{Duration, Instant};

use ringlink::desired::LinkDeclaration;
use ringlink::model::text::LinkName;
use ringlink::{Desired, Keeper};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lo = LinkDeclaration::new(LinkName::valid(b"lo")?).mtu(1400);
    let desired = Desired::builder().link(lo).build()?;
    let mut keeper = Keeper::spawn(Keeper::builder(desired))?;
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end && !keeper.has_ended() {
        if let Some(report) = keeper.next_report(Some(Duration::from_millis(100))) {
            println!("{report:?}");
        }
    }
    keeper.stop();
    keeper.join()?;
    Ok(())
}
