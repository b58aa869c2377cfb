//! How the kernel spells networks: rtnetlink messages to model values, and changes to messages.
//!
//! Bytes in, values out, and the other way round; no sockets. Whatever the bytes are, nothing
//! here panics: what is received is walked by [`view`], which hands out slices of it, and what
//! is malformed costs the message or the attribute it stands in and nothing else. Reading takes
//! the few attributes that the model keeps and does not allocate; requests are rare and are
//! built with netlink-packet-route.

pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod filter;
mod kind;
pub(crate) mod link_settings;
pub(crate) mod numbers;
pub(crate) mod view;

#[cfg(test)]
pub(crate) mod tests;
