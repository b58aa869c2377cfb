//! The sandbox, in a process of its own: it must come before any second thread, and the test
//! harness has several.

use super::super::namespace::has_net_admin;
use super::*;

#[test]
fn has_net_admin_in_our_own_namespace() {
    in_namespace(|| {
        // A new network namespace belongs to our user namespace; making one needed more than this.
        assert!(has_net_admin());
    });
}

#[test]
fn has_not_net_admin_in_a_namespace_of_our_parents() {
    // A user namespace of our own makes us all-capable in it, but the network stays the parent's.
    let script = "grep -q '^CapEff:.*[1-9a-f]' /proc/self/status && exec \"$0\" \"$@\"";
    let Some(output) = rerun(
        "probe_net_admin",
        &["unshare", "--user", "--map-root-user", "sh", "-c", script],
    ) else {
        return;
    };
    assert!(output.contains("net admin: false"), "{output}");
}

#[test]
fn a_sandbox_has_a_loopback_and_obeys_us() {
    let Some(output) = rerun("probe_sandbox", &[]) else {
        return;
    };
    assert!(output.contains("sandbox: done"), "{output}");
}

#[test]
fn a_sandbox_needs_no_root() {
    let Some(output) = rerun(
        "probe_sandbox",
        &[
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
        ],
    ) else {
        return;
    };
    assert!(output.contains("sandbox: done"), "{output}");
}
