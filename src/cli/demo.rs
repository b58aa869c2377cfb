//! `run --demo`: breaks the network of a sandbox, one thing after another, and shows it mended.
//!
//! The breaker is a second user of the kernel with a ring and sockets of its own; to the keeper it
//! is any other process. It sends each change once, as `ip` would.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::exit::{Exit, Failure};
use super::json_plan;
use super::out::{Ink, Out};
use super::run::{Teller, human};
use crate::applier::Applier;
use crate::desired::{
    Desired, DesiredError, DesiredLink, DesiredRoute, ExtraAddresses, LinkDeclaration, Owner,
    RouteDeclaration, State,
};
use crate::keeper::KeeperHandle;
use crate::reconcile::{Outcome, Report};

/// How long a break may take to be mended before the demo has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Reading pace.
const PAUSE: Duration = Duration::from_millis(300);
/// A route protocol number that is neither ours nor a daemon's.
const FOREIGN_PROTOCOL: u8 = 30;

/// One thing to break: what is said, and the state that it is broken to.
struct Break {
    words: String,
    state: Result<Desired, DesiredError>,
}

/// Waits for convergence, breaks and watches; `Exit::Not` where something stays broken.
pub(super) fn demo(
    desired: &Desired,
    keeper: &mut KeeperHandle,
    teller: &mut Teller,
    out: &mut Out,
) -> Result<Exit, Failure> {
    if !converge(keeper, teller, out)? {
        say(out, "the network did not converge, so there is nothing to break")?;
        return Ok(if keeper.has_ended() { Exit::Clean } else { Exit::Not });
    }
    let mut breaker = Applier::builder().open()?;
    let breaks = breaks(desired);
    say(out, &format!("breaks it in {} ways, as netlink port {}", breaks.len(), breaker.port()))?;
    let mut mended = 0;
    for Break { words, state } in &breaks {
        std::thread::sleep(PAUSE);
        say(out, words)?;
        let before = teller.corrections;
        let is_broken = break_it(&mut breaker, state, out)?;
        let least = before + usize::from(is_broken);
        let is_mended = is_mended(desired, &mut breaker, keeper, teller, least, out)?;
        if keeper.has_ended() {
            return Ok(Exit::Clean);
        }
        if is_broken && is_mended {
            mended += 1;
        } else if is_broken {
            say(out, "this was not mended")?;
        }
    }
    let (count, slowest) = (teller.corrections, human(teller.slowest));
    let total = breaks.len();
    say(
        out,
        &format!(
            "{mended} of {total} breaks mended by {count} corrections, the slowest after \
             {slowest}"
        ),
    )?;
    Ok(if mended == total { Exit::Clean } else { Exit::Not })
}

/// Sends what makes the network as the break wants it; `false` where the kernel refuses.
fn break_it(
    breaker: &mut Applier,
    state: &Result<Desired, DesiredError>,
    out: &mut Out,
) -> Result<bool, Failure> {
    let state = state.as_ref().map_err(|error| Failure::Cannot(error.to_string()))?;
    let plan = breaker.plan(state)?;
    for attempt in breaker.send(&plan)? {
        if let Outcome::Refused(refusal) = attempt.outcome {
            say(out, &format!("the kernel refused to be broken: {refusal}"))?;
            return Ok(false);
        }
    }
    Ok(!plan.steps.is_empty())
}

fn say(out: &mut Out, words: &str) -> Result<(), Failure> {
    if out.json {
        out.line(json_plan::demo(words))?;
    } else {
        out.line(out.ink(Ink::Faint, format_args!("demo: {words}")))?;
    }
    out.flush()
}

fn converge(
    keeper: &mut KeeperHandle,
    teller: &mut Teller,
    out: &mut Out,
) -> Result<bool, Failure> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline && !keeper.has_ended() {
        let Some(report) = keeper.next_report(Some(PAUSE)) else { continue };
        teller.tell(&report, out)?;
        if report == Report::Converged {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Tells the corrections until a look of the breaker's own finds nothing that differs, and the
/// keeper has told at least so many: the network is right before it hears so.
fn is_mended(
    desired: &Desired,
    breaker: &mut Applier,
    keeper: &mut KeeperHandle,
    teller: &mut Teller,
    least: usize,
    out: &mut Out,
) -> Result<bool, Failure> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline && !keeper.has_ended() {
        while let Some(report) = keeper.next_report(Some(Duration::from_millis(50))) {
            teller.tell(&report, out)?;
        }
        if teller.corrections >= least && breaker.plan(desired)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What can be broken of this document.
fn breaks(desired: &Desired) -> Vec<Break> {
    let made = || desired.links().iter().filter(|link| link.settings.is_some());
    let with_addresses = || made().filter(|link| link.addresses.iter().flatten().count() > 0);
    let mut breaks = Vec::new();
    breaks.extend(with_addresses().next().and_then(delete_address));
    breaks.extend(with_addresses().find(|link| link.state == Some(State::Up)).map(set_down));
    breaks.extend(made().find_map(change_mtu));
    breaks.extend(with_addresses().next_back().map(delete_link));
    breaks.extend(replace_route(desired));
    breaks
}

fn delete_address(link: &DesiredLink) -> Option<Break> {
    let (first, rest) = link.addresses.as_ref()?.split_first()?;
    let declaration = LinkDeclaration::new(link.name)
        .addresses(rest.iter().copied())
        .extra_addresses(ExtraAddresses::Remove);
    let words = format!("deletes address {first} of {}", link.name);
    Some(Break { words, state: Desired::builder().link(declaration).build() })
}

fn set_down(link: &DesiredLink) -> Break {
    let declaration = LinkDeclaration::new(link.name).state(State::Down);
    let words = format!("sets link {} down", link.name);
    Break { words, state: Desired::builder().link(declaration).build() }
}

fn change_mtu(link: &DesiredLink) -> Option<Break> {
    let mtu = link.mtu?.checked_sub(100)?;
    let declaration = LinkDeclaration::new(link.name).mtu(mtu);
    let words = format!("changes the mtu of {} to {mtu}", link.name);
    Some(Break { words, state: Desired::builder().link(declaration).build() })
}

fn delete_link(link: &DesiredLink) -> Break {
    let declaration = LinkDeclaration::new(link.name).state(State::Absent);
    let words = format!("deletes link {}", link.name);
    Break { words, state: Desired::builder().link(declaration).build() }
}

fn replace_route(desired: &Desired) -> Option<Break> {
    let has_neighbours = |gateway: &IpAddr| {
        let prefixes = desired.links().iter().flat_map(|link| link.addresses.iter().flatten());
        prefixes.into_iter().any(|own| own.reaches().contains(*gateway) && own.prefix.len <= 24)
    };
    let is_plain = |route: &&DesiredRoute| route.to.is_ipv4() && route.tos == 0;
    let mut routes = desired.routes().iter().filter(is_plain);
    let route = routes.find(|route| route.via.as_ref().is_some_and(has_neighbours))?;
    let via = neighbour(route.via?)?;
    let mut declaration = RouteDeclaration::new(route.to)
        .via(via)
        .metric(route.metric)
        .table(route.table)
        .takeover(true);
    if let Some(dev) = route.dev {
        declaration = declaration.dev(dev);
    }
    let owner = Owner { protocol: FOREIGN_PROTOCOL, ..Owner::new("demo") };
    let words = format!("replaces the route to {} by one via {via}", route.to);
    Some(Break { words, state: Desired::builder().owner(owner).route(declaration).build() })
}

/// Another address in the same small subnet.
fn neighbour(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => Some(IpAddr::V4((address.to_bits() ^ 2).into())),
        IpAddr::V6(_) => None,
    }
}
