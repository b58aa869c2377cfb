//! Which links a plan says carry nothing for a moment.

use crate::desired::{Desired, LinkDeclaration, State};
use crate::model::kind::{Kind, Settings};
use crate::model::link::{IFF_UP, Link};
use crate::model::network::Network;
use crate::model::object::ObjectId;
use crate::model::text::{KindName, LinkName};
use crate::plan::Plan;

fn name(text: &str) -> LinkName {
    LinkName::truncated(text.as_bytes())
}

#[test]
fn a_port_that_must_be_down_to_join_is_interrupted_unless_it_is_to_stay_down() {
    let bond = Settings::new(Kind::by_name(b"bond").unwrap());
    let mut network = Network::default();
    let (kind, settings) = (KindName::truncated(b"bond"), Some(bond));
    network.put_link(Link { flags: IFF_UP, kind, settings, ..Link::new(1, name("bond0")) });
    network.put_link(Link { flags: IFF_UP, ..Link::new(2, name("e0")) });
    for (state, interrupted) in [(State::Up, &[ObjectId::Link(name("e0"))][..]), (State::Down, &[])]
    {
        let port = LinkDeclaration::new(name("e0")).master(name("bond0")).state(state);
        let bond = LinkDeclaration::new(name("bond0")).settings(bond);
        let desired = Desired::builder().link(bond).link(port).build().expect("valid");
        let plan = Plan::new(&desired, &network);
        let told: Vec<_> = plan.steps.iter().flat_map(|step| &step.interrupts).copied().collect();
        assert_eq!(told, interrupted, "{state:?}: {plan:#?}");
    }
}
