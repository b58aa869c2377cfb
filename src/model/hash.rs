//! The hash tables of the engine, which are asked several times for each event.
//!
//! The keys are names, numbers and addresses of a few bytes. Whoever can choose them is root in
//! this namespace, or wrote the declared state; the tables are seeded all the same.

use foldhash::fast::RandomState;

/// A map from small keys.
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;

/// The same in the order in which they came: what is put in together is also found together.
pub(crate) type IndexMap<K, V> = indexmap::IndexMap<K, V, RandomState>;

/// A set of small keys.
pub(crate) type HashSet<K> = std::collections::HashSet<K, RandomState>;
