//! What holds of every plan.

use proptest::prelude::*;

use super::model;
use super::random::{self, Random};
use crate::desired::{Desired, DesiredFdb, PROTOCOL_DEFAULT, State};
use crate::model::change::{Change, Op, RouteChange};
use crate::model::link::Link;
use crate::model::network::Network;
use crate::model::rule::Rule;
use crate::model::text::{KindName, LinkName};
use crate::plan::{Plan, Rank, Reason, Step, Undo};

/// How many plans in a row may be needed: a step of one can take along what an earlier step of
/// the same plan made, as a link that goes down does.
const PLANS_MAX: usize = 4;
/// How many rounds a way back may take: one a layer of links, and one for each type on them.
const UNDO_ROUNDS_MAX: usize = 16;

fn world(seed: u64) -> (Desired, Network) {
    let mut random = Random::new(seed);
    (random::desired(&mut random), random::network(&mut random))
}

/// A refusal that the plan cannot foresee: no observed address covers the gateway.
fn is_excused(error: &str) -> bool {
    error.contains("unreachable")
}

/// What was to be deleted went along with what an earlier step deleted or set down, such as the
/// other end of a pair; or one route is declared twice, with its link and without. The kernel's
/// refusal says that all is as wanted.
fn is_moot(change: &Change, error: &str) -> bool {
    let is_route = matches!(change, Change::CreateRoute(route) if !route.to.is_ipv4());
    (change.op() == Op::Delete && error.starts_with("no "))
        || (is_route && error.ends_with("there already"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn made_as_planned_nothing_is_left_to_do(seed in any::<u64>()) {
        let (desired, mut network) = world(seed);
        let mut left = Vec::new();
        for _ in 0..PLANS_MAX {
            let plan = Plan::new(&desired, &network);
            left.clear();
            for step in &plan.steps {
                match model::apply(&mut network, &step.change) {
                    Ok(()) => {}
                    Err(error) if is_moot(&step.change, &error) => {}
                    // A link that stays has the name.
                    Err(_) if matches!(step.change, Change::AddAltname { .. }) => {
                        left.push(step.change.clone());
                    }
                    Err(error) if is_excused(&error) => left.push(step.change.clone()),
                    Err(error) => {
                        let steps: Vec<_> = plan.steps.iter().map(ToString::to_string).collect();
                        panic!("seed {seed}: {step}: {error}: {steps:#?}");
                    }
                }
            }
        }
        let plan = Plan::new(&desired, &network);
        let changes: Vec<_> = plan.steps.iter().map(|step| step.change.clone()).collect();
        prop_assert_eq!(changes, left);
    }

    #[test]
    fn lower_links_and_masters_come_first_and_deletions_last(seed in any::<u64>()) {
        let (desired, network) = world(seed);
        let plan = Plan::new(&desired, &network);
        let mut made: Vec<LinkName> = network.links().map(|link| link.name).collect();
        for step in &plan.steps {
            for needed in needs(&step.change) {
                prop_assert!(made.contains(&needed), "{step} needs {needed}: {plan:#?}");
            }
            if let Change::CreateLink(new) = &step.change {
                made.push(new.name);
                made.extend(new.settings.peer());
            }
            if let Change::SetLink(update) = &step.change {
                made.extend(update.rename);
            }
        }
        let is_removal =
            |rank: Rank| rank >= Rank::DeleteAddress;
        let removals = plan.steps.iter().skip_while(|step| !is_removal(step.rank));
        for step in removals {
            prop_assert!(is_removal(step.rank), "{step} after a removal: {plan:#?}");
        }
    }

    #[test]
    fn nothing_is_named_but_what_is_declared_its_rivals_and_its_extras(seed in any::<u64>()) {
        let (desired, network) = world(seed);
        let plan = Plan::new(&desired, &network);
        for step in &plan.steps {
            prop_assert!(may_change(&desired, &network, &plan, &step.change), "{step}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_cannot_be_changed_in_place_is_made_anew_where_that_is_allowed(seed in any::<u64>()) {
        let (desired, mut network) = world(seed);
        // Someone else's links bear some of the names.
        for (at, link) in network.links().cloned().collect::<Vec<_>>().into_iter().enumerate() {
            if !link.kind.is_empty() && (seed >> at) & 1 == 1 {
                let kind = KindName::truncated(b"dummy");
                network.put_link(Link { kind, settings: None, lower: 0, ..link });
            }
        }
        let kept = Plan::new(&desired, &network);
        prop_assert!(!kept.steps.iter().any(Step::is_recreation));
        let desired = desired.with_recreation();
        for _ in 0..2 * PLANS_MAX {
            for step in Plan::new(&desired, &network).steps {
                // What went along is made again by a later plan.
                let _ = model::apply(&mut network, &step.change);
            }
        }
        let plan = Plan::new(&desired, &network);
        for blocked in &plan.blocked {
            let is_in_the_way = match &blocked.reason {
                Reason::OtherKind { found, .. } => !found.is_empty(),
                Reason::OnlyAtCreation { .. } | Reason::PeerNameTaken(_) => true,
                _ => false,
            };
            prop_assert!(!is_in_the_way, "seed {seed}: {blocked}: {network:#?}");
        }
        prop_assert!(!plan.steps.iter().any(Step::is_recreation), "seed {seed}: {:#?}", plan.steps);
    }
}

fn needs(change: &Change) -> Vec<LinkName> {
    match change {
        Change::CreateLink(new) => new.settings.lower().into_iter().chain(new.master).collect(),
        Change::SetLink(update) => std::iter::once(update.link).chain(update.master).collect(),
        Change::DeleteGroup(_) | Change::SetGroup { .. } => Vec::new(),
        Change::DeleteLink(link)
        | Change::AddAltname { link, .. }
        | Change::DeleteAltname { link, .. }
        | Change::SetSysctls { link, .. }
        | Change::PutAddress { link, .. }
        | Change::DeleteAddress { link, .. } => vec![*link],
        Change::CreateRoute(route) | Change::ReplaceRoute(route) | Change::DeleteRoute(route) => {
            route.devs().collect()
        }
        Change::CreateRule(_) | Change::DeleteRule(_) | Change::DeleteNexthop(_) => Vec::new(),
        Change::PutNexthop { nexthop, .. } => nexthop.dev.into_iter().collect(),
        Change::PutFdb { entry, .. } | Change::DeleteFdb(entry) => vec![entry.link],
        Change::PutNeighbour { link, .. }
        | Change::DeleteNeighbour { link, .. }
        | Change::PutVlans { link, .. }
        | Change::DeleteVlans { link, .. } => {
            vec![*link]
        }
    }
}

/// Whether a link that is not declared bears the mark of what may go, and no declared one needs it.
fn is_our_stray(desired: &Desired, network: &Network, stray: LinkName) -> bool {
    let (Some(owner), Some(link)) = (desired.owner(), network.link_named(stray)) else {
        return false;
    };
    let is_needed = desired.links().iter().any(|wanted| {
        let lower = wanted.settings.and_then(|settings| settings.lower());
        let peer = wanted.settings.and_then(|settings| settings.peer());
        [lower, peer, wanted.master, wanted.peer_of].contains(&Some(stray))
    });
    let is_marked = (owner.prune && link.group == owner.group) || link.group == owner.doomed();
    is_marked && !is_needed && !link.kind.is_empty()
}

/// Whether the rules of DESIGN, "whose is what", let a plan make that change.
fn may_change(desired: &Desired, network: &Network, plan: &Plan, change: &Change) -> bool {
    let desired = &*desired.resolve(network);
    let declared = |name: LinkName| desired.links().iter().find(|link| link.name == name);
    match change {
        Change::CreateLink(new) => declared(new.name).is_some_and(|link| {
            link.settings == Some(new.settings) && link.state != Some(State::Absent)
        }),
        // A link under another name is the other end of a declared one, and is renamed.
        Change::SetLink(update) => {
            let name = update.rename.unwrap_or(update.link);
            declared(name).is_some_and(|link| {
                let is_its_end = update.rename.is_none_or(|_| link.peer_of.is_some());
                is_its_end && link.state != Some(State::Absent)
            })
        }
        Change::AddAltname { link, altname } => declared(*link).is_some_and(|link| {
            link.altnames.as_ref().is_some_and(|names| names.contains(altname))
        }),
        Change::DeleteAltname { link, altname } => declared(*link).is_some_and(|link| {
            let names = link.altnames.as_ref();
            names.is_some_and(|names| !names.contains(altname)) && link.remove_extra_altnames
        }),
        Change::DeleteGroup(_) => false,
        Change::DeleteLink(name) => match declared(*name) {
            Some(link) => link.state == Some(State::Absent),
            None => is_our_stray(desired, network, *name),
        },
        Change::PutAddress { link, prefix, .. } => declared(*link)
            .and_then(|link| link.addresses.as_ref())
            .is_some_and(|declared| declared.iter().any(|own| own.prefix == *prefix)),
        Change::DeleteAddress { link, prefix, peer } => declared(*link).is_some_and(|wanted| {
            // One that is declared leaves to come back as declared.
            let is_put_back = plan.steps.iter().any(|step| {
                matches!(step.change, Change::PutAddress { link: on, prefix: back, .. }
                    if on == *link && back.address == prefix.address)
            });
            let has_any = wanted.addresses.is_some();
            is_put_back || (wanted.remove_extra_addresses && has_any && peer.is_none())
        }),
        Change::CreateRoute(route) | Change::ReplaceRoute(route) => may_put(desired, route),
        Change::DeleteRoute(route) => may_delete(desired, network, route),
        rest => may_change_rest(desired, rest),
    }
}

/// The same of rules and neighbours.
fn may_change_rest(desired: &Desired, change: &Change) -> bool {
    match change {
        Change::CreateRule(rule) => desired.rules().contains(rule),
        Change::DeleteRule(rule) => {
            let is_pruned = desired.owner().is_some_and(|owner| owner.prune);
            let same_place =
                |it: &&Rule| (it.is_ipv6, it.priority) == (rule.is_ipv6, rule.priority);
            let mut declared = desired.rules().iter().filter(same_place).peekable();
            let has_place = declared.peek().is_some();
            rule.protocol == desired.protocol()
                && !declared.any(|it| it.is_alike(rule))
                && (has_place || is_pruned)
        }
        Change::PutNeighbour { link, address, mac, .. } => desired
            .neighbours()
            .iter()
            .any(|it| (it.dev, it.address, it.mac) == (*link, *address, *mac)),
        Change::DeleteNeighbour { link, address } => {
            let is_declared =
                desired.neighbours().iter().any(|it| (it.dev, it.address) == (*link, *address));
            desired.owner().is_some_and(|owner| owner.prune) && !is_declared
        }
        Change::PutNexthop { nexthop, .. } => {
            let declared = desired.nexthops().iter().find(|it| it.id == nexthop.id);
            let members = &nexthop.members;
            nexthop.protocol == desired.protocol()
                && declared.is_some_and(|it| {
                    let is_it = (it.via, it.dev) == (nexthop.via, nexthop.dev);
                    is_it && members.iter().all(|member| it.group.contains(member))
                })
        }
        Change::DeleteNexthop(id) => {
            let is_declared = desired.nexthops().iter().any(|it| it.id == *id);
            desired.owner().is_some_and(|owner| owner.prune) || is_declared
        }
        Change::PutFdb { entry, .. } => {
            let mut of_link = desired.links().iter().filter(|it| it.name == entry.link);
            let is_it =
                |own: &DesiredFdb| (own.mac, own.vid, own.dst) == (entry.mac, entry.vid, entry.dst);
            of_link.any(|it| it.fdb.iter().flatten().any(is_it))
        }
        Change::DeleteFdb(entry) => {
            let of_link = desired.links().iter().find(|it| it.name == entry.link);
            let is_ours = of_link.is_some_and(|it| it.settings.is_some() || it.peer_of.is_some());
            let declared = of_link.and_then(|it| it.fdb.as_ref());
            let is_it =
                |own: &DesiredFdb| (own.mac, own.vid, own.dst) == (entry.mac, entry.vid, entry.dst);
            is_ours && declared.is_some_and(|all| !all.iter().any(is_it))
        }
        Change::PutVlans { link, first, last, pvid, untagged, .. } => {
            let of_link = desired.links().iter().filter(|it| it.name == *link);
            let declared: Vec<_> = of_link.flat_map(|it| it.vlans.iter().flatten()).collect();
            (*first..=*last).all(|vid| {
                let mut own = declared.iter().filter(|it| (it.first..=it.last).contains(&vid));
                own.any(|it| (it.pvid, it.untagged) == (*pvid, *untagged))
            })
        }
        Change::DeleteVlans { link, first, last } => {
            let of_link = desired.links().iter().find(|it| it.name == *link);
            let declared = of_link.and_then(|it| it.vlans.as_ref());
            let is_declared = |vid| {
                declared.is_some_and(|all| all.iter().any(|it| (it.first..=it.last).contains(&vid)))
            };
            declared.is_some() && !(*first..=*last).any(is_declared)
        }
        _ => false,
    }
}

fn may_put(desired: &Desired, route: &RouteChange) -> bool {
    let is_it = |wanted: &crate::desired::DesiredRoute| {
        let hops = &route.hops;
        let is_one = (wanted.via, wanted.dev) == (route.via, route.dev);
        // What cannot be used now is left out of several.
        let is_of_several =
            wanted.hops.iter().any(|hop| (hop.via, hop.dev) == (route.via, route.dev));
        (wanted.to, wanted.tos, wanted.metric, wanted.table)
            == (route.to, route.tos, route.metric, route.table)
            && wanted.nexthop_id == route.nexthop_id
            && (wanted.source, wanted.metrics) == (route.source, route.metrics)
            && wanted.route_type == route.route_type
            && hops.iter().all(|hop| wanted.hops.contains(hop))
            && (!hops.is_empty() || is_one || is_of_several)
    };
    route.protocol == desired.protocol() && desired.routes().iter().any(is_it)
}

fn may_delete(desired: &Desired, network: &Network, route: &RouteChange) -> bool {
    let in_slot = |wanted: &&crate::desired::DesiredRoute| {
        (wanted.to, wanted.tos, wanted.metric, wanted.table)
            == (route.to, route.tos, route.metric, route.table)
    };
    // One of several next hops is named without its protocol.
    let there = network.routes().find(|now| {
        let via = now.key.via.filter(|_| now.hops.is_empty());
        now.key.slot.to == route.to
            && via == route.via
            && (now.protocol == route.protocol || route.protocol == 0)
    });
    let is_same_hop = |wanted: &crate::desired::DesiredRoute| {
        let is_same_object = wanted.nexthop_id != 0 && wanted.nexthop_id == route.nexthop_id;
        let is_same_way =
            wanted.via == route.via && wanted.dev.is_none_or(|dev| Some(dev) == route.dev);
        is_same_object || is_same_way
    };
    let was_pushed_in = network.routes().any(|now| now.replaced && now.key.via == route.via);
    let mut slots = desired.routes().iter().filter(in_slot).peekable();
    let is_in_slot = slots.peek().is_some();
    let is_ours = there.is_some_and(|now| now.protocol == desired.protocol());
    let is_pruned = desired.owner().is_some_and(|owner| owner.prune) && !is_in_slot;
    if is_pruned && is_ours {
        let is_own = |dev: LinkName| {
            let groups = desired.owner().map(|owner| [owner.group, owner.doomed()]);
            let link = network.link_named(dev);
            link.zip(groups).is_some_and(|(link, own)| own.contains(&link.group))
        };
        return desired.protocol() != PROTOCOL_DEFAULT || route.devs().any(is_own);
    }
    there.is_some() && is_in_slot && (is_ours || was_pushed_in || slots.any(is_same_hop))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn from_wherever_a_plan_got_to_there_is_a_way_back(seed in any::<u64>(), made in 0usize..40) {
        let (desired, before) = world(seed);
        let plan = Plan::new(&desired, &before);
        let Ok(undo) = Undo::new(&desired, &before, &plan) else {
            return Ok(());
        };
        let mut network = before.clone();
        for step in plan.steps.iter().take(made) {
            // What is refused changes nothing, as at the kernel.
            let _ = model::apply(&mut network, &step.change);
        }
        let mut left = Vec::new();
        for _ in 0..UNDO_ROUNDS_MAX {
            left = undo.steps(&network).steps;
            // A gateway that nothing covered then is not covered again.
            left.retain(|step| {
                let result = model::apply(&mut network, &step.change);
                !result.is_err_and(|error| is_excused(&error))
            });
        }
        let left: Vec<_> = left.iter().map(ToString::to_string).collect();
        prop_assert!(left.is_empty(), "{left:#?} of {:#?}", plan.steps);
        let names = |network: &Network| -> Vec<_> {
            network.links().map(|link| (link.name, link.mtu, link.is_up())).collect()
        };
        let (mut is, mut was) = (names(&network), names(&before));
        is.sort_unstable();
        was.sort_unstable();
        prop_assert_eq!(is, was);
    }
}
