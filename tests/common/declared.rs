//! What a document says, made once or kept, for the tests of each sort of object.

use std::process::Command;
use std::time::{Duration, Instant};

use ringlink::reconcile::{Outcome, Report};
use ringlink::{Applier, ApplyReport, Desired, KeeperHandle};

use super::slowness;

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn declared(text: &str) -> Desired {
    let text = format!("version = 1\n{text}");
    Desired::from_toml("test.toml", &text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

pub(crate) fn apply(desired: &Desired) -> ApplyReport {
    Applier::builder().open().expect("a ring").apply(desired).expect("a report")
}

/// Makes it so, and sees that a second time nothing is sent.
pub(crate) fn applied(text: &str) {
    let desired = declared(text);
    let report = apply(&desired);
    let failed = report.attempts.iter().find(|attempt| attempt.outcome != Outcome::Done);
    assert!(failed.is_none(), "{text}: {failed:#?}");
    assert!(report.converged, "{text}: {:#?}", report.remaining);
    let report = apply(&desired);
    assert!(report.converged && report.attempts.is_empty(), "{text}: {report:#?}");
}

pub(crate) fn wait_for_convergence(keeper: &mut KeeperHandle) {
    let patience = PATIENCE * slowness();
    let deadline = Instant::now() + patience;
    while keeper.next_report(Some(patience)).expect("it converges") != Report::Converged {
        assert!(Instant::now() < deadline, "it does not converge: {:?}", keeper.status());
    }
}

/// Addresses of IPv6 are used at once.
pub(crate) fn without_dad() {
    for scope in ["all", "default"] {
        std::fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/accept_dad"), "0").ok();
    }
}

/// Runs `bridge` with these words and returns what it printed; panics where it fails.
pub(crate) fn bridge(words: &str) -> String {
    let output = Command::new("bridge").args(words.split_whitespace()).output();
    let output = output.expect("the tests need `bridge` of iproute2");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "bridge {words}: {errors}");
    String::from_utf8(output.stdout).expect("`bridge` prints UTF-8")
}
