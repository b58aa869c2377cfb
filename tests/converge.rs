//! `Applier` makes a declared network, and `ip` agrees to the last value.

mod common;

use common::in_namespace;
use ringlink::{Applier, Desired};

#[test]
fn the_example_converges_and_a_second_apply_sends_nothing() {
    in_namespace(
        "the_example_converges_and_a_second_apply_sends_nothing",
        || {
            let desired = Desired::load(&["examples/host.toml"]).expect("the example is valid");
            let mut applier = Applier::builder().open().expect("a ring");
            let report = applier.apply(&desired).expect("an engine that goes on");
            for attempt in &report.attempts {
                eprintln!("{} {:?}", attempt.step, attempt.outcome);
            }
            assert!(report.converged, "{:#?}", report.remaining);
            let sent = applier.counters().changes;
            let report = applier.apply(&desired).expect("an engine that goes on");
            assert!(
                report.converged && report.attempts.is_empty(),
                "{report:#?}"
            );
            assert_eq!(applier.counters().changes, sent);
        },
    );
}
