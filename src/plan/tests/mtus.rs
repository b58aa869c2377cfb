//! MTUs of links on links, in every constellation: nothing on the way is refused.

use super::model;
use crate::desired::{Desired, LinkDeclaration};
use crate::model::kind::{Kind, Settings, Value};
use crate::model::link::Link;
use crate::model::network::Network;
use crate::model::text::{KindName, LinkName};
use crate::plan::Plan;

const MTUS: [Option<u32>; 4] = [None, Some(1400), Some(1500), Some(9000)];

fn name(text: &str) -> LinkName {
    LinkName::truncated(text.as_bytes())
}

fn on(below: &str) -> Settings {
    let kind = Kind::by_name(b"macvlan").unwrap();
    Settings::new(kind).with("dev", Value::Link(name(below))).unwrap()
}

/// A device, and a link on it where `above` says what its MTU is.
fn network(below: u32, above: Option<u32>) -> Network {
    let mut network = Network::default();
    network.put_link(Link { mtu: below, ..Link::new(1, name("e0")) });
    if let Some(mtu) = above {
        let settings = Settings::new(on("e0").kind).with("dev", Value::Index(1));
        let kind = KindName::truncated(b"macvlan");
        let link = Link::new(2, name("mv0"));
        network.put_link(Link { mtu, kind, lower: 1, settings, ..link });
    }
    network
}

/// Makes the steps in their order, as rounds do; whatever is refused is an error.
fn reach(desired: &Desired, network: &mut Network) {
    for _ in 0..4 {
        for step in &Plan::new(desired, network).steps {
            // A link that is made in this round is set in the next.
            if matches!(&step.change, crate::model::change::Change::SetLink(it)
                if network.index_of(it.link).is_none())
            {
                continue;
            }
            model::apply(network, &step.change).unwrap_or_else(|why| panic!("{step}: {why}"));
        }
    }
    let plan = Plan::new(desired, network);
    assert!(plan.is_empty(), "{plan:#?}");
}

#[test]
fn mtus_rise_from_below_and_fall_from_above() {
    let mut tried = 0;
    for (below, above) in MTUS.iter().flat_map(|below| MTUS.map(|above| (*below, above))) {
        let mut lower = LinkDeclaration::new(name("e0"));
        let mut upper = LinkDeclaration::new(name("mv0")).settings(on("e0"));
        (lower, upper) = (
            below.into_iter().fold(lower, LinkDeclaration::mtu),
            above.into_iter().fold(upper, LinkDeclaration::mtu),
        );
        let Ok(desired) = Desired::builder().link(upper).link(lower).build() else {
            assert!(above > below && below.is_some());
            continue;
        };
        for below_now in MTUS.into_iter().flatten() {
            for above_now in MTUS {
                let fits = above_now <= Some(below_now);
                if fits && (below.is_some() || above <= Some(below_now)) {
                    reach(&desired, &mut network(below_now, above_now));
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 80, "{tried}");
}

#[test]
fn an_mtu_that_rises_waits_for_the_one_below_and_one_that_falls_does_not() {
    let lower = |mtu| LinkDeclaration::new(name("e0")).mtu(mtu);
    let upper = |mtu| LinkDeclaration::new(name("mv0")).settings(on("e0")).mtu(mtu);
    let order = |network: &Network, mtu| {
        let desired = Desired::builder().link(upper(mtu)).link(lower(mtu)).build().unwrap();
        let plan = Plan::new(&desired, network);
        let of = |text| {
            let is_mtu = |it: &crate::plan::Step| it.differences.iter().any(|it| it.key == "mtu");
            let mut steps = plan.steps.iter();
            let object = crate::model::object::ObjectId::Link(name(text));
            steps.position(|step| step.change.object() == object && is_mtu(step)).unwrap()
        };
        (of("e0"), of("mv0"))
    };
    let (below, above) = order(&network(1500, Some(1500)), 9000);
    assert!(below < above);
    let (below, above) = order(&network(1500, None), 9000);
    assert!(below < above, "of a link that is still to be made too");
    let (below, above) = order(&network(9000, Some(9000)), 1500);
    assert!(above < below);
}
