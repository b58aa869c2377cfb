//! Prints every change of the network of this namespace, as it happens.

use ringlink::{Batch, Watcher};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut watcher = Watcher::builder().open()?;
    let mut batch = Batch::default();
    loop {
        watcher.next(&mut batch)?;
        for event in &batch {
            println!("{event:?}");
        }
    }
}
