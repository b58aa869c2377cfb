//! `destroy`: what the owner made is taken away.

use super::apply;
use super::exit::{Exit, Failure};
use super::out::Out;
use crate::desired::Desired;
use crate::ring::signals::Signals;

/// The state that is left of a document's network.
pub(super) fn destroyed(desired: &Desired) -> Result<Desired, Failure> {
    desired.destroyed().ok_or_else(|| {
        let message = "the document has no owner, so nothing tells what was made for it; give it \
                       one (`[owner]` and `name = \"...\"`) and apply that, or declare the links \
                       with `state = \"absent\"`. Nothing was changed.";
        Failure::Usage(message.to_owned())
    })
}

/// Makes the network as if the document had never been.
pub(super) fn destroy(
    desired: &Desired,
    signals: Signals,
    yes: bool,
    verbose: bool,
    out: &mut Out,
) -> Result<Exit, Failure> {
    apply::apply(desired, &apply::DESTROY, signals, yes, verbose, out)
}
