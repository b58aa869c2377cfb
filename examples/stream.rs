//! Follows the network as a stream, inside a tokio-uring runtime.

use futures_util::StreamExt;

fn main() {
    tokio_uring::start(async {
        let mut watcher = ringlink::aio::Watcher::open().expect("a ring");
        while let Some(event) = watcher.next().await {
            println!("{:?}", event.expect("rtnetlink goes on").what);
        }
    });
}
