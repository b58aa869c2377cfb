//! A set of subjects, a bit each: asked for every step of a round, and as large as what is
//! declared.

use crate::plan::Subject;

/// Which subjects are in it.
#[derive(Debug, Default)]
pub(super) struct SubjectSet {
    /// The bits of each sort of subject, by position; as many words as were ever needed.
    sorts: [Vec<u64>; SORTS],
    len: usize,
}

const SORTS: usize = 9;

impl SubjectSet {
    pub(super) fn contains(&self, subject: Subject) -> bool {
        let (sort, word, bit) = place(subject);
        self.sorts[sort].get(word).is_some_and(|bits| bits & bit != 0)
    }

    pub(super) fn insert(&mut self, subject: Subject) {
        let (sort, word, bit) = place(subject);
        let words = &mut self.sorts[sort];
        if words.len() <= word {
            words.resize(word + 1, 0);
        }
        self.len += usize::from(words[word] & bit == 0);
        words[word] |= bit;
    }

    pub(super) fn remove(&mut self, subject: Subject) {
        let (sort, word, bit) = place(subject);
        if let Some(bits) = self.sorts[sort].get_mut(word) {
            self.len -= usize::from(*bits & bit != 0);
            *bits &= !bit;
        }
    }

    /// Takes all out.
    pub(super) fn clear(&mut self) {
        self.sorts.iter_mut().for_each(|words| words.fill(0));
        self.len = 0;
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}

/// The sort of a subject, and the word and the bit of its position.
fn place(subject: Subject) -> (usize, usize, u64) {
    let (sort, position) = match subject {
        Subject::Link(position) => (0, position),
        Subject::Addresses(position) => (1, position),
        Subject::Vlans(position) => (2, position),
        Subject::Fdb(position) => (3, position),
        Subject::Nexthop(position) => (4, position),
        Subject::Route(position) => (5, position),
        Subject::Rule(position) => (6, position),
        Subject::Neighbour(position) => (7, position),
        Subject::Strays => (8, 0),
    };
    (sort, position as usize / 64, 1 << (position % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn subject() -> impl Strategy<Value = Subject> {
        let position = prop_oneof![0..200_u32, Just(70_000)];
        (0..SORTS, position).prop_map(|(sort, position)| match sort {
            0 => Subject::Link(position),
            1 => Subject::Addresses(position),
            2 => Subject::Vlans(position),
            3 => Subject::Fdb(position),
            4 => Subject::Nexthop(position),
            5 => Subject::Route(position),
            6 => Subject::Rule(position),
            7 => Subject::Neighbour(position),
            _ => Subject::Strays,
        })
    }

    proptest! {
        #[test]
        fn it_holds_what_a_hash_set_holds(
            done in prop::collection::vec((subject(), any::<bool>()), 0..200),
        ) {
            let (mut set, mut model) = (SubjectSet::default(), HashSet::new());
            for (subject, is_put_in) in done {
                match is_put_in {
                    true => {
                        set.insert(subject);
                        model.insert(subject);
                    }
                    false => {
                        set.remove(subject);
                        model.remove(&subject);
                    }
                }
                prop_assert_eq!(set.contains(subject), is_put_in);
                prop_assert_eq!(set.len(), model.len());
            }
            for subject in &model {
                prop_assert!(set.contains(*subject));
            }
        }
    }
}
