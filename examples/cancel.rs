//! Waits for the network to change, until another thread cancels the wait.

use std::time::Duration;

use ringlink::{Batch, Wake, Watcher};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut watcher = Watcher::builder().open()?;
    let canceller = watcher.canceller();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(1));
        canceller.cancel();
    });
    let mut batch = Batch::default();
    while watcher.next(&mut batch)? != Wake::Cancelled {
        println!("{} events", batch.len());
    }
    println!("cancelled; {} links are there", watcher.observed().links().count());
    thread.join().expect("the thread only sleeps");
    Ok(())
}
