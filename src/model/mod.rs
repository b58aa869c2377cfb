//! What the network is: links, addresses, routes and what else can be followed, and the changes
//! of them.
//!
//! The lowest room. It knows facts about networks (which fields a link has, what a kind can be
//! told, what the kernel takes away by itself) and neither bytes nor clocks nor descriptors.

pub mod address;
pub mod bridge_vlan;
pub mod change;
pub mod consequences;
pub mod fdb;
pub mod filter;
mod fold;
pub mod glob;
pub(crate) mod hash;
pub mod identity;
pub mod kind;
pub mod link;
pub mod neighbour;
pub mod netconf;
pub mod netns;
pub mod network;
pub mod nexthop;
pub mod nsid;
pub mod object;
pub mod refusal;
pub mod route;
pub mod rule;
pub mod text;
