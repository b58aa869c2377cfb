//! Waits until a link is up and running: `cargo run --example wait_up -- eth0`.

use std::time::{Duration, Instant};

use ringlink::model::text::LinkName;
use ringlink::{Batch, Wake, Watcher};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or("lo".to_owned());
    let name = LinkName::valid(name.as_bytes())?;
    let mut watcher = Watcher::builder().open()?;
    let mut batch = Batch::default();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !watcher.observed().link_named(name).is_some_and(|link| link.is_running()) {
        if watcher.next_before(&mut batch, Some(deadline))? == Wake::Deadline {
            return Err(format!("{name} is not up after 30 s").into());
        }
    }
    println!("{name} is up");
    Ok(())
}
