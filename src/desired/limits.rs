//! Every limit of the declared state and its document, with its reason.

/// The most bytes of a document, all its files together. A link with its addresses takes about
/// a hundred, so this is some 80,000 links; a file past it is refused before it is in memory.
#[cfg(feature = "document")]
pub(super) const DOCUMENT_BYTES_MAX: usize = 8 << 20;

/// The most files of a document: a directory with more is not a configuration.
#[cfg(feature = "document")]
pub(super) const FILES_MAX: usize = 1024;

/// How deep brackets may nest, and how many dots a key may have. The document needs four
/// levels; what the parser builds is freed recursively, so the stack depends on this.
#[cfg(feature = "document")]
pub(super) const NESTING_MAX: usize = 16;

/// The most tokens of a TOML file. The parser takes some 60 bytes for each.
#[cfg(feature = "document")]
pub(super) const TOKENS_MAX: usize = 4 << 20;

/// The most values of a JSON file, each of which takes some 100 bytes.
#[cfg(feature = "document")]
pub(super) const JSON_VALUES_MAX: usize = 1 << 20;

/// The most bytes of a TOML file of which all syntax errors are told; of a larger one it is the
/// first, since the parser keeps each error of a text that may be nothing but errors.
#[cfg(feature = "document")]
pub(super) const RECOVERY_BYTES_MAX: usize = 256 << 10;

/// The most problems that are reported; the rest is counted. Nobody reads more at once.
pub(super) const DIAGNOSTICS_MAX: usize = 100;

/// The most characters of a source line that a diagnostic shows.
#[cfg(feature = "document")]
pub(super) const EXCERPT_CHARS_MAX: usize = 100;

/// The most characters of a key or value that a message repeats.
pub(super) const QUOTED_CHARS_MAX: usize = 60;

/// The most bytes of an owner's name: it is part of a socket's name, which has 107.
pub(super) const OWNER_NAME_BYTES_MAX: usize = 64;

/// The most alternative names of a link. All of them are in each of its notifications, of which
/// the kernel makes none that is longer than 64 KiB; these are at most 4 KiB.
pub(super) const ALTNAMES_MAX: usize = 32;

/// The most bytes of a network namespace's name, which is that of a file (NAME_MAX of
/// `linux/limits.h`).
pub(super) const NETNS_NAME_BYTES_MAX: usize = 255;

/// The most bytes of a path to one, without the final zero (PATH_MAX).
pub(super) const NETNS_PATH_BYTES_MAX: usize = 4095;

/// The least MTU: that of IPv4 (RFC 791, ETH_MIN_MTU). Below it the kernel takes IPv4 away.
pub(super) const MTU_MIN: u32 = 68;

/// The greatest MTU: that of the longest packet of IPv6, which a VRF has unless something else is
/// said (`IP6_MAX_MTU`). Devices without a limit of their own take more, which is of no use.
pub(super) const MTU_MAX: u32 = 65575;

/// The least MTU that IPv6 works with (RFC 8200, IPV6_MIN_MTU).
pub(super) const MTU_IPV6_MIN: u32 = 1280;

/// The greatest MTU of a route: the kernel takes a larger one for this (ip_metrics_convert).
pub(super) const ROUTE_MTU_MAX: u32 = 65520;

/// The greatest TCP segment size of a route, by the same.
pub(super) const ADVMSS_MAX: u32 = 65495;
