//! MTUs of links on links: the order in which they change is one that the kernel takes.

mod common;

use common::{in_namespace, ip, links};
use ringlink::reconcile::Outcome;
use ringlink::{Applier, Desired};

fn mtu_of(link: &str) -> u64 {
    links()[link]["mtu"].as_u64().expect("an MTU")
}

/// Applies a document, of which nothing may be refused; how many changes that took.
fn applied(applier: &mut Applier, text: &str) -> usize {
    let desired = Desired::from_toml("test.toml", &format!("version = 1\n{text}"));
    let report = applier.apply(&desired.expect("a valid document")).expect("it goes on");
    for attempt in &report.attempts {
        assert!(matches!(attempt.outcome, Outcome::Done), "{attempt:#?}");
    }
    assert!(report.converged, "{report:#?}");
    report.attempts.len()
}

#[test]
fn a_stack_of_links_rises_and_falls_without_a_refusal() {
    in_namespace("a_stack_of_links_rises_and_falls_without_a_refusal", || {
        ip("link add uplink type ifb");
        let mut applier = Applier::builder().open().expect("a ring");
        let text_of = |below: u32, above: u32, top: u32| {
            format!(
                "[link.mv0]\nmacvlan = {{ dev = \"v0\", mode = \"bridge\" }}\nmtu = {top}\n\
                 [link.mv1]\nmacvlan = {{ dev = \"uplink\", mode = \"bridge\" }}\nmtu = {above}\n\
                 [link.v0]\nveth = {{ peer = \"p0\" }}\nmtu = {above}\n\
                 [link.uplink]\nstate = \"up\"\nmtu = {below}\n"
            )
        };
        // At first the upper one is to be made, with more than the lower one has yet.
        for (below, above, top) in
            [(9000, 9000, 9000), (1400, 1400, 1300), (1400, 1400, 1400), (8000, 7000, 6000)]
        {
            applied(&mut applier, &text_of(below, above, top));
            let now = ["uplink", "mv1", "v0", "mv0"].map(mtu_of);
            assert_eq!(now, [below, above, above, top].map(u64::from));
            assert_eq!(applied(&mut applier, &text_of(below, above, top)), 0);
        }
    });
}

#[test]
fn the_mtu_of_a_bridge_is_set_after_its_ports_joined() {
    in_namespace("the_mtu_of_a_bridge_is_set_after_its_ports_joined", || {
        ip("link add br0 type bridge");
        ip("link add v0 mtu 1400 type veth peer p0");
        ip("link add v1 mtu 1400 type veth peer p1");
        let text = "version = 1\n[link.v0]\nmaster = \"br0\"\n[link.v1]\nmaster = \"br0\"\n\
                    [link.br0]\nkind = \"bridge\"\nmtu = 1500\n";
        let desired = Desired::from_toml("test.toml", text).expect("a valid document");
        let mut applier = Applier::builder().open().expect("a ring");
        let plan = applier.plan(&desired).expect("a plan");
        let steps: Vec<_> = plan.steps.iter().map(ToString::to_string).collect();
        let last = steps.last().expect("a step");
        assert!(last.contains("br0") && last.contains("mtu 1400 -> 1500"), "{steps:#?}");
        assert_eq!(steps.iter().filter(|step| step.contains("mtu")).count(), 1, "{steps:#?}");
        // Nothing is left to find out afterwards.
        let sent = applier.send(&plan).expect("it goes on").len();
        assert_eq!((sent, mtu_of("br0")), (steps.len(), 1500));
        assert!(applier.plan(&desired).expect("a plan").is_empty());
    });
}
