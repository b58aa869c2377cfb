//! The session that a command is typed in, and the steps that would cut it.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;
use std::process;

use super::exit::Failure;
use crate::applier::Applier;
use crate::desired::Desired;
use crate::limits::{ANCESTORS_MAX, ENVIRONMENT_BYTES_MAX};
use crate::model::network::Network;
use crate::plan::{Plan, Session, cuts};

/// What sshd(8) says of a connection: `client-address client-port server-address server-port`.
const VARIABLE: &str = "SSH_CONNECTION";

/// The sessions that must not be cut: what this process or one of its ancestors was started in.
/// None where they may be.
pub(super) fn to_guard(may_cut: bool) -> Vec<Session> {
    if may_cut {
        return Vec::new();
    }
    let own = std::env::var(VARIABLE).ok().and_then(|value| parse(&value));
    let mut sessions: Vec<_> = own.into_iter().collect();
    sessions.extend(of_ancestors(Path::new("/proc"), process::id()));
    let mut seen = HashSet::new();
    sessions.retain(|session| seen.insert(*session));
    sessions
}

/// Said of a refusal before anything was done.
pub(super) const NOTHING_CHANGED: &str = "Nothing was changed.";

/// Refuses a plan with a step that would cut one of `sessions`. `closing` says what was changed
/// before.
pub(super) fn refuse_cuts(
    plan: &Plan,
    network: &Network,
    sessions: &[Session],
    closing: &str,
) -> Result<(), Failure> {
    for session in sessions {
        let cuts = cuts(plan, network, *session);
        let Some(first) = cuts.first() else { continue };
        let Session { local, client } = session;
        let more = match cuts.len() - 1 {
            0 => String::new(),
            1 => " (and 1 more step)".to_owned(),
            more => format!(" (and {more} more steps)"),
        };
        return Err(Failure::Cannot(format!(
            "this would cut, or may, the SSH session that it is typed in, from {client} to {local}: \
             {first}{more}. `ringlink try` goes back by itself unless you confirm in time; \
             --cut-session goes on regardless. {closing}"
        )));
    }
    Ok(())
}

/// The same for a verb that has no plan of its own.
pub(super) fn guard(desired: &Desired, may_cut: bool) -> Result<(), Failure> {
    let sessions = to_guard(may_cut);
    if sessions.is_empty() {
        return Ok(());
    }
    let mut applier = Applier::builder().open()?;
    let plan = applier.plan(desired)?;
    refuse_cuts(&plan, applier.observed(), &sessions, NOTHING_CHANGED)
}

/// The sessions that the ancestors of a process were started in. `sudo` and `su -` keep it from
/// their children, so one that does not say, or may not be read, is passed over.
fn of_ancestors(proc: &Path, pid: u32) -> Vec<Session> {
    let mut sessions = Vec::new();
    let mut ancestor = parent_of(proc, pid);
    for _ in 0..ANCESTORS_MAX {
        let Some(pid) = ancestor.filter(|pid| *pid != 0) else { break };
        sessions.extend(session_of(proc, pid));
        ancestor = parent_of(proc, pid);
    }
    sessions
}

fn parent_of(proc: &Path, pid: u32) -> Option<u32> {
    let status = fs::read_to_string(proc.join(pid.to_string()).join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

fn session_of(proc: &Path, pid: u32) -> Option<Session> {
    let file = File::open(proc.join(pid.to_string()).join("environ")).ok()?;
    let mut environment = Vec::new();
    file.take(ENVIRONMENT_BYTES_MAX).read_to_end(&mut environment).ok()?;
    let mut variables = environment.split(|byte| *byte == 0);
    let value =
        variables.find_map(|it| it.strip_prefix(VARIABLE.as_bytes())?.strip_prefix(b"="))?;
    parse(std::str::from_utf8(value).ok()?)
}

fn parse(value: &str) -> Option<Session> {
    let mut words = value.split_whitespace();
    let client = address(words.next()?)?;
    let local = address(words.nth(1)?)?;
    Some(Session { local, client })
}

/// An address, without the zone of a link-local one; one of IPv4 may come as one of IPv6.
fn address(word: &str) -> Option<IpAddr> {
    let word = word.split('%').next()?;
    Some(word.parse::<IpAddr>().ok()?.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(client: &str, local: &str) -> Session {
        Session { local: address(local).expect("valid"), client: address(client).expect("valid") }
    }

    #[test]
    fn what_sshd_says_is_understood_and_nothing_else() {
        for (value, expected) in [
            ("198.51.100.7 50022 192.0.2.1 22", Some(session("198.51.100.7", "192.0.2.1"))),
            ("2001:db8::7 1 2001:db8::1 22", Some(session("2001:db8::7", "2001:db8::1"))),
            ("fe80::7%eth0 1 fe80::1%eth0 22", Some(session("fe80::7", "fe80::1"))),
            (
                "::ffff:198.51.100.7 1 ::ffff:192.0.2.1 22",
                Some(session("198.51.100.7", "192.0.2.1")),
            ),
            ("", None),
            ("198.51.100.7 50022", None),
            ("UNKNOWN 65535 UNKNOWN 65535", None),
        ] {
            assert_eq!(parse(value), expected, "{value}");
        }
    }

    #[test]
    fn ancestors_are_asked_one_after_the_other() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let process = |pid: u32, parent: u32, environment: Option<&[u8]>| {
            let folder = folder.path().join(pid.to_string());
            fs::create_dir(&folder).expect("a writable folder");
            let status = format!("Name:\tsh\nPid:\t{pid}\nPPid:\t{parent}\n");
            fs::write(folder.join("status"), status).expect("a writable folder");
            if let Some(environment) = environment {
                fs::write(folder.join("environ"), environment).expect("a writable folder");
            }
        };
        process(10, 9, Some(b"SSH_CONNECTION=192.0.2.9 1 192.0.2.2 22\0"));
        // sudo drops it, and may not be read.
        process(9, 8, Some(b"PATH=/bin\0OLD_SSH_CONNECTION=x\0"));
        process(8, 7, None);
        process(7, 6, Some(b"TERM=x\0SSH_CONNECTION=198.51.100.7 50022 192.0.2.1 22\0A=b\0"));
        process(6, 6, Some(b"SSH_CONNECTION=nonsense\0"));
        let found = of_ancestors(folder.path(), 10);
        assert_eq!(found, [session("198.51.100.7", "192.0.2.1")]);
        assert_eq!(of_ancestors(folder.path(), 99), []);
    }
}
