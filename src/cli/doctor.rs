//! `doctor`: can this host run it, does another manager have its links, and what to change.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::exit::{Exit, Failure};
use super::managers::{self, Managed};
use super::out::{Ink, Out};
use crate::applier::Applier;
use crate::desired::Desired;
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
pub(super) fn doctor(
    desired: Option<&Desired>,
    root: &Path,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let probe = probe();
    let findings = findings(&probe);
    let is_fit = probe.is_usable();
    let managed = desired.map(|desired| managed(desired, root, is_fit)).unwrap_or_default();
    let namespace = namespace_of("net").unwrap_or_else(|| "unknown: /proc is missing".to_owned());
    if out.json {
        let list = findings.iter().map(|it| {
            json!({ "what": it.what, "needed": it.is_needed, "ok": it.complaint.is_none(),
                "complaint": it.complaint })
        });
        let list: Vec<_> = list.collect();
        let mut value = json!({ "v": 1, "kernel": probe.kernel_release, "namespace": namespace,
            "io_uring_disabled": probe.io_uring_disabled,
            "memory_lock_limit_bytes": probe.memory_lock_limit_bytes, "fit": is_fit, "findings": list });
        if desired.is_some() {
            value["managed"] = managed.iter().map(managed_json).collect();
        }
        out.line(value)?;
    } else {
        out.line(format_args!("Linux {}, network namespace {namespace}", probe.kernel_release))?;
        tell(&findings, is_fit, out)?;
        if desired.is_some() {
            tell_managed(&managed, out)?;
        }
    }
    Ok(if is_fit && managed.is_empty() { Exit::Clean } else { Exit::Not })
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

/// Who else manages the links of the document. Where the network cannot be read, a link is known
/// by its name alone.
fn managed(desired: &Desired, root: &Path, is_fit: bool) -> Vec<Managed> {
    let mut applier = is_fit.then(|| Applier::builder().open().ok()).flatten();
    let is_read = applier.as_mut().is_some_and(|applier| applier.plan(desired).is_ok());
    let network = applier.as_ref().filter(|_| is_read).map(Applier::observed);
    managers::find(root, &managers::listed(desired, network), !desired.rules.is_empty())
}

fn managed_json(it: &Managed) -> Value {
    json!({ "manager": it.manager, "links": it.links, "why": it.why, "remedy": it.remedy,
        "lines": it.lines, "then": it.then })
}

fn tell_managed(managed: &[Managed], out: &mut Out) -> Result<(), Failure> {
    if managed.is_empty() {
        return out.line("no other manager was found on the links of the document");
    }
    for Managed { manager, links, why, remedy, lines, then } in managed {
        let mark = out.ink(Ink::Warned, "managed");
        let links =
            if links.is_empty() { String::new() } else { format!(" {}:", links.join(", ")) };
        out.line(format_args!("{mark}{links} by {manager}: {why}"))?;
        out.line(format_args!("        {remedy}{}", if lines.is_empty() { "" } else { ":" }))?;
        for line in lines {
            out.line(format_args!("            {line}").to_string().trim_end())?;
        }
        out.line(format_args!("        then: {then}"))?;
    }
    Ok(())
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
