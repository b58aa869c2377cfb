//! The hash tables of the engine, which are asked several times for each event.
//!
//! The keys are names, numbers and addresses of a few bytes. Whoever can choose them is root in
//! this namespace, or wrote the declared state; the tables are seeded all the same.

use foldhash::fast::RandomState;

/// A map from small keys.
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;

/// A set of small keys.
pub(crate) type HashSet<K> = std::collections::HashSet<K, RandomState>;
