//! `doctor`: can this host run it, and what to change where it cannot.

use serde_json::json;

use super::exit::{Exit, Failure};
use super::out::{Ink, Out};
use crate::limits::RECEIVE_BUFFER_BYTES;
use crate::ring::namespace::has_net_admin;
use crate::ring::probe::{Probe, probe};

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
    if out.json {
        let list = findings.iter().map(|it| {
            json!({ "what": it.what, "needed": it.is_needed, "ok": it.complaint.is_none(),
                "complaint": it.complaint })
        });
        let list: Vec<_> = list.collect();
        out.object(&json!({ "v": 1, "kernel": probe.kernel_release, "fit": is_fit,
            "io_uring_disabled": probe.io_uring_disabled,
            "memory_lock_limit_bytes": probe.memory_lock_limit_bytes, "findings": list }))?;
    } else {
        tell(&probe, &findings, is_fit, out)?;
    }
    Ok(if is_fit { Exit::Clean } else { Exit::Not })
}

fn tell(probe: &Probe, findings: &[Finding], is_fit: bool, out: &mut Out) -> Result<(), Failure> {
    out.line(format_args!("Linux {}", probe.kernel_release))?;
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

/// Only a process with CAP_NET_ADMIN in the initial user namespace may pass this limit.
fn receive_buffer() -> Finding {
    let path = "/proc/sys/net/core/rmem_max";
    let limit = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
    let is_small = limit.is_some_and(|limit: usize| limit < RECEIVE_BUFFER_BYTES);
    Finding {
        what: "a receive buffer of 8 MiB".to_owned(),
        is_needed: false,
        complaint: is_small.then(|| {
            format!(
                "net.core.rmem_max is {}, which caps it unless run as root on the host; bursts then \
                 lead to a resync sooner. `sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES}`",
                limit.unwrap_or(0)
            )
        }),
    }
}
