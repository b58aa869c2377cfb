//! The network namespaces that a declared state names: what is known of them goes to the mirror and
//! to the reconciler, and the descriptors for what is to be made in them to the requests.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;

use super::{Host, Opened};
use crate::model::change::Change;
use crate::model::netns::NamedNetns;
use crate::model::object::{Event, Object, What};
use crate::wire::decode::nsid_answer;
use crate::wire::view::Message;

impl Host {
    /// From now on these are looked for; `are_names_told` is whether
    /// [`handle_names_changed`](Self::handle_names_changed) is called when names come and go.
    pub(crate) fn look_for(&mut self, names: &Arc<[Arc<str>]>, are_names_told: bool) {
        if self.namespaces.names() != names {
            self.mirror.forget_named_netns();
        }
        self.namespaces.declare(Arc::clone(names), are_names_told);
    }

    /// Names came to or went from `/run/netns`; whether any is looked for.
    pub(crate) fn handle_names_changed(&mut self) -> bool {
        self.namespaces.want_all();
        !self.namespaces.is_empty()
    }

    /// Whether of every namespace that is looked for all is known.
    pub(crate) fn knows_namespaces(&self) -> bool {
        self.namespaces.is_known()
    }

    /// A namespace to open now, by its number and name, for
    /// [`handle_opened`](Self::handle_opened).
    pub(crate) fn poll_open(&mut self, now: Instant) -> Option<(u16, Arc<str>)> {
        if self.namespaces.is_empty() {
            return None;
        }
        let can_send = self.can_send();
        if let Some(reconcile) = self.reconcile.as_mut().filter(|_| can_send) {
            reconcile.poll_step(now, self.mirror.network());
            self.namespaces.hold(reconcile.upcoming().filter_map(Change::netns));
        }
        self.namespaces.poll_open()
    }

    /// What came of opening it. A descriptor stays open as long as [`needs`](Self::needs) says.
    pub(crate) fn handle_opened(&mut self, now: Instant, number: u16, opened: Opened) {
        if let Some(known) = self.namespaces.handle_opened(now, number, opened) {
            self.note_netns(now, number, known);
        }
    }

    /// Whether a descriptor that a namespace was opened as is still to be open. While something is
    /// being sent the kernel may still come to it, whatever has become of its cause.
    pub(crate) fn needs(&self, number: u16, fd: i32) -> bool {
        self.sending != 0 || self.namespaces.needs(number, fd)
    }

    /// Asks for the numbers of those that are open, while nothing else is under way.
    pub(super) fn request_nsids(&mut self, now: Instant, buffer: &mut BytesMut) -> bool {
        let is_busy = self.requests.is_busy() || self.looks.is_busy();
        let is_free = self.sending == 0 && !is_busy && self.dumps.is_quiet();
        is_free && self.namespaces.poll_request(now, &mut self.sequence, buffer)
    }

    /// Whether a reply is the answer to such a question.
    pub(super) fn handle_nsid(&mut self, now: Instant, message: &Message<'_>) -> bool {
        let answer = || nsid_answer(message);
        let Some((number, known)) = self.namespaces.take(now, message.sequence, answer) else {
            return false;
        };
        self.note_netns(now, number, known);
        true
    }

    /// Answers were lost, or the questions not sent.
    pub(super) fn ask_nsids_again(&mut self, now: Instant) {
        for (number, known) in self.namespaces.handle_replies_lost(now) {
            self.note_netns(now, number, known);
        }
    }

    pub(super) fn note_netns(&mut self, now: Instant, number: u16, known: NamedNetns) {
        let Some(name) = self.namespaces.name(number) else { return };
        let is_news = self.mirror.set_named_netns(name, known);
        if let Some(reconcile) = self.reconcile.as_mut().filter(|_| is_news) {
            reconcile.handle_netns(now, number);
        }
    }

    /// A declared pair that someone else made, or moved, may be in a namespace that had no number
    /// when it was asked for.
    pub(super) fn look_for_other_end(&mut self, event: usize) {
        let Some(Event { what, .. }) = self.events.get(event) else { return };
        let link = match what {
            What::New(Object::Link(link)) => link,
            What::Changed { before: Object::Link(before), after: Object::Link(link) }
                if before.lower_netns != link.lower_netns =>
            {
                link
            }
            _ => return,
        };
        let number = self.reconcile.as_ref().and_then(|it| it.netns_of(link.name));
        let Some((number, nsid)) = number.zip(link.lower_netns) else { return };
        let name = self.namespaces.name(number);
        let known = name.and_then(|name| self.mirror.network().named_netns(name));
        if known != Some(NamedNetns::There { nsid: Some(nsid) }) {
            self.namespaces.want(number);
        }
    }
}
