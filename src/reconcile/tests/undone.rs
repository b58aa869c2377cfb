//! What others undo while a round is under way.

use super::*;
use crate::desired::RouteDeclaration;
use crate::limits::UNDONE_MAX;

const ROUTES: u8 = 60;
/// How many steps go together.
const BATCH: usize = 4;
const OWN_PORT: u32 = 42;

fn prefix(address: [u8; 4], len: u8) -> Prefix {
    Prefix { address: address.into(), len }
}

/// Two bridges with an address each, and routes through the first.
fn declaration(has_routes: bool) -> Desired {
    let bridges = [("br0", [10, 0, 0, 1]), ("br1", [10, 1, 0, 1])]
        .map(|(link, address)| of_kind(link, "bridge").mtu(1400).addresses([prefix(address, 24)]));
    let all = bridges.into_iter().fold(Desired::builder(), |all, link| all.link(link));
    let routes = (0..if has_routes { ROUTES } else { 0 })
        .map(|at| RouteDeclaration::new(prefix([172, 16, at, 0], 24)).dev(name("br0")));
    routes.fold(all, DesiredBuilder::route).build().expect("valid")
}

/// The bridges are there and as declared, the routes are not.
fn desk() -> Desk {
    let mut made = Desk::new(Mode::Keep, declaration(false));
    made.settle();
    let mut desk = Desk::new(Mode::Keep, declaration(true));
    desk.reconcile.set_own_port(OWN_PORT);
    desk.network = made.network;
    desk
}

impl Desk {
    /// Sends a batch; the kernel makes it, and its news are heard.
    fn sends(&mut self) -> Vec<Change> {
        self.sends_up_to(BATCH)
    }

    fn sends_up_to(&mut self, steps: usize) -> Vec<Change> {
        let mut sent = Vec::new();
        while let Some(step) = self.reconcile.poll_step(self.now, &self.network) {
            sent.push(step.change.clone());
            self.reconcile.handle_sent(&self.network);
            if sent.len() == steps {
                break;
            }
        }
        let others = std::mem::replace(&mut self.sender, OWN_PORT);
        self.happens(|network| {
            sent.iter().for_each(|it| model::apply(network, it).expect("it can be made"));
        });
        self.sender = others;
        sent
    }

    fn is_answered(&mut self, sent: &[Change]) {
        for _ in sent {
            self.reconcile.handle_result(self.now, Outcome::Done);
        }
        self.told.extend(std::iter::from_fn(|| self.reconcile.poll_report()));
    }

    /// A batch and its answers.
    fn batch(&mut self) -> Vec<Change> {
        let sent = self.sends();
        self.is_answered(&sent);
        sent
    }

    fn loses_address(&mut self, link: &str) {
        let index = self.network.index_of(name(link)).expect("it is there");
        let own = self.network.addresses_of(index).next().expect("it has one").key;
        self.happens(|network| {
            network.remove_address(own);
        });
    }

    fn reverts(&self) -> usize {
        let is_revert = |it: &&Report| matches!(it, Report::Attempted(it) if it.is_revert);
        self.told.iter().filter(is_revert).count()
    }
}

fn is_route(change: &Change) -> bool {
    matches!(change, Change::CreateRoute(_))
}

#[test]
fn it_is_made_good_before_the_rest_of_the_round() {
    let mut desk = desk();
    assert!(desk.batch().iter().all(is_route));
    let sent = desk.sends();
    assert!(desk.reconcile.next_in_round().is_some());
    desk.loses_address("br1");
    // Nothing more is filled, and what is on its way is answered first.
    assert!(desk.reconcile.next_in_round().is_none());
    desk.is_answered(&sent);
    let sent = desk.batch();
    assert!(matches!(sent[0], Change::PutAddress { link, .. } if link == name("br1")), "{sent:?}");
    assert_eq!((sent.len(), desk.reverts()), (BATCH, 1));
    assert!(sent[1..].iter().all(is_route) && desk.reconcile.next_in_round().is_some());
    // Of a link the news name no one; while routes are made it was another all the same.
    desk.sender = 0;
    desk.happens(|network| set_mtu(network, "br1", 1300));
    let sent = desk.batch();
    assert!(matches!(&sent[0], Change::SetLink(it) if it.mtu == Some(1400)), "{sent:?}");
    assert!(sent[1..].iter().all(is_route));
    let rest = desk.settle();
    assert_eq!(rest.len(), usize::from(ROUTES) - 2 * BATCH - 2 * (BATCH - 1));
    assert!(rest.iter().all(is_route) && desk.reconcile.is_converged());
    assert_eq!(desk.reverts(), 2);
}

#[test]
fn what_the_round_itself_has_made_is_made_good_too_but_not_what_it_is_still_to_make() {
    let mut desk = desk();
    desk.loses_address("br0");
    desk.loses_address("br1");
    // Both addresses come first, and then routes.
    let sent = desk.sends();
    assert!(matches!(sent[..2], [Change::PutAddress { .. }, Change::PutAddress { .. }]));
    desk.is_answered(&sent);
    desk.loses_address("br1");
    let sent = desk.batch();
    assert!(matches!(sent[0], Change::PutAddress { link, .. } if link == name("br1")), "{sent:?}");
    assert!(sent[1..].iter().all(is_route));
    assert_eq!(desk.reverts(), 1);
    assert_eq!(desk.settle().iter().filter(|it| !is_route(it)).count(), 0);

    // Of an object that the round is not through with it makes the rest first, and then the whole.
    let more = (2..4).map(|third| prefix([10, third, 0, 1], 24));
    let addresses: Vec<_> = [prefix([10, 1, 0, 1], 24)].into_iter().chain(more).collect();
    let bridge = of_kind("br1", "bridge").mtu(1400).addresses(addresses);
    let network = std::mem::take(&mut desk.network);
    desk = Desk::new(Mode::Keep, declared([bridge]));
    desk.network = network;
    desk.loses_address("br1");
    let sent = desk.sends_up_to(2);
    desk.is_answered(&sent);
    desk.loses_address("br1");
    assert_eq!(desk.batch().len(), 1);
    assert_eq!(desk.settle().len(), 1);
    assert!(desk.reconcile.is_converged());
}

#[test]
fn while_links_are_set_up_what_no_one_is_named_for_may_be_the_doing_of_the_round() {
    let bridge = of_kind("br0", "bridge").mtu(1400);
    let mut made = Desk::new(Mode::Keep, declared([bridge.clone()]));
    made.settle();
    let links = (0..10).map(|at| of_kind(&format!("i{at}"), "ifb"));
    let mut desk = Desk::new(Mode::Keep, declared(links.chain([bridge])));
    desk.network = made.network;
    assert_eq!(desk.batch().len(), BATCH);
    desk.sender = 0;
    desk.happens(|network| set_mtu(network, "br0", 1300));
    let is_new = |it: &Change| matches!(it, Change::CreateLink(_));
    assert!(desk.batch().iter().all(is_new));
    // Where they name another it was not.
    desk.sender = 4711;
    desk.happens(|network| set_mtu(network, "br0", 1200));
    let sent = desk.batch();
    assert!(matches!(sent[0], Change::SetLink(_)) && sent[1..].iter().all(is_new), "{sent:?}");
}

#[test]
fn a_fight_during_a_round_has_no_more_reverts_than_any_other() {
    let mut desk = desk();
    let mut reverts = 0;
    let mut routes = 0;
    while routes < usize::from(ROUTES) {
        let index = desk.network.index_of(name("br1")).expect("it is there");
        if desk.network.addresses_of(index).next().is_some() && routes > 0 {
            desk.loses_address("br1");
        }
        let sent = desk.batch();
        let made = sent.iter().filter(|it| is_route(it)).count();
        reverts += sent.len() - made;
        routes += made;
    }
    assert_eq!(reverts, REVERTS_AT_ONCE_MAX);
    assert_eq!(desk.reconcile.conflicts(), 1);
}

#[test]
fn an_address_is_not_crowded_out_by_the_routes_that_go_with_it() {
    let routes = (0..=u8::MAX).map(|at| {
        let to = prefix([172, 17, at, 0], 24);
        RouteDeclaration::new(to).dev(name("br1")).source([10, 1, 0, 1].into())
    });
    let bridge = of_kind("br1", "bridge").mtu(1400).addresses([prefix([10, 1, 0, 1], 24)]);
    let all = routes.fold(Desired::builder().link(bridge), DesiredBuilder::route);
    let network = desk().network;
    let mut desk = Desk::new(Mode::Keep, all.build().expect("valid"));
    desk.network = network;
    let sent = desk.sends_up_to(UNDONE_MAX + BATCH);
    desk.is_answered(&sent);
    desk.loses_address("br1");
    let sent = desk.batch();
    assert!(matches!(sent[0], Change::PutAddress { .. }), "{sent:?}");
}
