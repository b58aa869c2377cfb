//! `destroy`: what the owner made is taken away.

use super::exit::Failure;
use crate::desired::Desired;

/// The state that is left of a document's network.
pub(super) fn destroyed(desired: &Desired) -> Result<Desired, Failure> {
    desired.destroyed().ok_or_else(|| {
        let message = "the document has no owner, so nothing tells what was made for it; give it \
                       one (`[owner]` and `name = \"...\"`) and apply that, or declare the links \
                       with `state = \"absent\"`. Nothing was changed.";
        Failure::Usage(message.to_owned())
    })
}
