//! `doctor`: can this host run it, and what to change where it cannot.

use std::fs;

use serde_json::json;

use super::exit::{Exit, Failure};
use super::out::{Ink, Out};
use crate::limits::RECEIVE_BUFFER_BYTES;
use crate::ring::namespace::has_net_admin;
use crate::ring::probe::{Probe, probe};

/// The user namespace that the kernel starts with (PROC_USER_INIT_INO, `linux/proc_ns.h`).
const INITIAL_USER_NAMESPACE: &str = "user:[4026531837]";

/// One finding.
struct Finding {
    what: String,
    /// Whether nothing works without it.
    is_needed: bool,
    /// What is wrong and what to do, where something is.
    complaint: Option<String>,
}

/// Looks, tells, and says whether anything that is needed is missing.
pub(super) fn doctor(out: &mut Out) -> Result<Exit, Failure> {
    let probe = probe();
    let findings = findings(&probe);
    let is_fit = probe.is_usable();
    let namespace = namespace_of("net").unwrap_or_else(|| "unknown: /proc is missing".to_owned());
    if out.json {
        let list = findings.iter().map(|it| {
            json!({ "what": it.what, "needed": it.is_needed, "ok": it.complaint.is_none(),
                "complaint": it.complaint })
        });
        let list: Vec<_> = list.collect();
        out.line(json!({ "v": 1, "kernel": probe.kernel_release, "namespace": namespace,
            "io_uring_disabled": probe.io_uring_disabled,
            "memory_lock_limit_bytes": probe.memory_lock_limit_bytes, "fit": is_fit, "findings": list }))?;
    } else {
        out.line(format_args!("Linux {}, network namespace {namespace}", probe.kernel_release))?;
        tell(&findings, is_fit, out)?;
    }
    Ok(if is_fit { Exit::Clean } else { Exit::Not })
}

/// Such as `net:[4026531840]`, as `lsns` and `readlink /proc/self/ns/net` show it.
fn namespace_of(kind: &str) -> Option<String> {
    let link = fs::read_link(format!("/proc/self/ns/{kind}")).ok()?;
    Some(link.to_string_lossy().into_owned())
}

fn tell(findings: &[Finding], is_fit: bool, out: &mut Out) -> Result<(), Failure> {
    for Finding { what, is_needed, complaint } in findings {
        match complaint {
            None => out.line(format_args!("{} {what}", out.ink(Ink::Made, "ok     ")))?,
            Some(complaint) => {
                let (mark, ink) = match is_needed {
                    true => ("MISSING", Ink::Warned),
                    false => ("without", Ink::Changed),
                };
                out.line(format_args!("{} {what}: {complaint}", out.ink(ink, mark)))?;
            }
        }
    }
    out.line(if is_fit {
        "ringlink can run here"
    } else {
        "ringlink cannot run here; mend what is MISSING"
    })
}

fn findings(probe: &Probe) -> Vec<Finding> {
    let features = probe.features();
    let mut findings: Vec<_> = features
        .into_iter()
        .map(|(what, is_needed, found)| Finding {
            what: what.to_owned(),
            is_needed,
            complaint: found.as_ref().err().cloned(),
        })
        .collect();
    findings.push(Finding {
        what: "CAP_NET_ADMIN in this network namespace".to_owned(),
        is_needed: false,
        complaint: (!has_net_admin()).then(|| {
            "plan, check, show and watch work; apply and run need root, or --sandbox to try"
                .to_owned()
        }),
    });
    findings.push(receive_buffer());
    findings
}

/// Only a process with CAP_NET_ADMIN in the initial user namespace may pass this limit, which the
/// kernel doubles.
fn receive_buffer() -> Finding {
    const NEEDED: usize = RECEIVE_BUFFER_BYTES / 2;
    let path = "/proc/sys/net/core/rmem_max";
    let limit = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
    let may_pass =
        has_net_admin() && namespace_of("user").as_deref() == Some(INITIAL_USER_NAMESPACE);
    let small = limit.filter(|limit: &usize| *limit < NEEDED && !may_pass);
    Finding {
        what: format!("a receive buffer of {} MiB", RECEIVE_BUFFER_BYTES >> 20),
        is_needed: false,
        complaint: small.map(|limit| {
            format!(
                "net.core.rmem_max is {limit}, so a burst leads to lost notifications and a resync \
                 sooner; as root: sysctl -w net.core.rmem_max={NEEDED}"
            )
        }),
    }
}
