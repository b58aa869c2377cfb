//! The nearest valid word to one that is not.

/// Beyond this no word is a slip of the pen, and the comparison would take its time.
const WORD_BYTES_MAX: usize = 32;

/// The candidate that `word` was probably meant to be: at most two slips away (a transposition
/// is one), and fewer in a short word.
pub(super) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let word = word.to_ascii_lowercase().replace('-', "_");
    let slips_max = (word.chars().count() / 3).clamp(1, 2);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&word, candidate), candidate))
        .filter(|(slips, candidate)| *slips <= slips_max && *slips < candidate.len())
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// A sentence that names the nearest candidate, or all where none is near.
pub(super) fn help(word: &str, what: &str, candidates: &[&str]) -> String {
    match nearest(word, candidates.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("{what}: {}", candidates.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_recognized() {
        let keys = ["mtu", "mac", "master", "addresses"];
        assert_eq!(nearest("mut", keys), Some("mtu"));
        assert_eq!(nearest("MTU", keys), Some("mtu"));
        assert_eq!(nearest("address", keys), Some("addresses"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest("x", keys), None);
        assert_eq!(nearest(&"m".repeat(1 << 20), keys), None);
    }
}
