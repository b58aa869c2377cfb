//! Follows the network as a stream on a task of a plain tokio runtime, until it is quiet.

use std::time::Duration;

use futures_util::StreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut watcher = ringlink::aio::Watcher::open()?;
    let quiet = Duration::from_secs(5);
    // Dropping the future that waits for the next event loses none.
    while let Ok(Some(event)) = tokio::time::timeout(quiet, watcher.next()).await {
        println!("{:?}", event?.what);
    }
    Ok(())
}
