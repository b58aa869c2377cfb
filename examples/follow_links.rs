//! Prints every link that comes, goes, or changes its state.

use ringlink::model::object::{Object, What};
use ringlink::{Batch, Watcher};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut watcher = Watcher::builder().open()?;
    let mut batch = Batch::default();
    loop {
        watcher.next(&mut batch)?;
        for event in &batch {
            match &event.what {
                What::New(Object::Link(link)) => println!("{} is there", link.name),
                What::Deleted(Object::Link(link)) => println!("{} is gone", link.name),
                What::Changed { before: Object::Link(before), after: Object::Link(after) }
                    if before.is_up() != after.is_up() =>
                {
                    println!("{} is {}", after.name, if after.is_up() { "up" } else { "down" });
                }
                _ => {}
            }
        }
    }
}
