//! Sets up Linux network links and keeps them exactly as declared.
//!
//! Three handles, from the gentlest to the one that stays:
//!
//! * [`Watcher`] reads the network: every change of links, addresses and routes as an event, and
//!   the state that the events add up to;
//! * [`Applier`] changes it: compares a [`Desired`] state with what is and makes the difference;
//! * [`Keeper`] keeps it: on a thread of its own, whatever differs is put right when the kernel
//!   tells of it.
//!
//! All of them talk rtnetlink through io_uring and need Linux 6.1 or later; a wait is ended by
//! cancelling the armed read ([`Canceller`]).
//!
//! # The rooms
//!
//! One crate; arrows go down only. Below the engine everything is pure: no I/O, no clock, no
//! descriptors, so it is tested with values and bytes alone.
//!
//! | room | subject |
//! |---|---|
//! | [`model`] | what the network is: links, addresses, routes, and changes of them |
//! | `wire` | how the kernel spells that: messages to values, changes to messages |
//! | [`desired`] | what is wanted: the declared state, from a document or a builder |
//! | [`plan`] | what must change: differences as ordered steps |
//! | `session` | the conversation: sequence numbers, batches, answers, dumps, resyncs |
//! | [`reconcile`] | when to change it: rounds, retries, fights, reports |
//! | `host` | mirror, session and reconciler of one namespace, joined |
//! | `ring` | every system call, and all `unsafe` |
//! | `engine` | the one loop that moves bytes between ring and host |
//!
//! # Features
//!
//! `document` reads declared states from TOML and JSON; `aio` adds a `Stream` for tokio and
//! tokio-uring; `cli`, the default, is the program. With `default-features = false` there is the
//! engine and its few dependencies.

#[cfg(feature = "aio")]
pub mod aio;
mod applier;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod desired;
mod engine;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod keeper;
mod limits;
pub mod model;
pub mod plan;
pub mod reconcile;
mod ring;
mod session;
mod watcher;
mod wire;

pub use self::applier::{Applier, ApplierBuilder, ApplyError, ApplyReport, Progress};
pub use self::desired::Desired;
pub use self::engine::{Canceller, EngineError};
pub use self::host::Counters;
pub use self::keeper::{KeepError, Keeper, KeeperBuilder, KeeperHandle, Status, Stopper};
pub use self::model::filter::Filter;
pub use self::ring::{
    Counters as RingCounters, Holder, LockError, NamespaceError, Netns, OwnerLock, RingError,
};
pub use self::watcher::{Batch, Wake, WatchError, Watcher, WatcherBuilder, WatcherHandle};
