//! Values of options that have names in the kernel's headers, by name or number.

use crate::model::route::{PROTOCOL_NAMES, table_name};

/// A route protocol (RTPROT_*).
pub(super) fn protocol(word: &str) -> Result<u8, String> {
    let named = PROTOCOL_NAMES.iter().find(|(_, name)| *name == word).map(|(number, _)| *number);
    named.or_else(|| word.parse().ok()).ok_or_else(|| {
        let names: Vec<_> = PROTOCOL_NAMES.iter().map(|(_, name)| *name).collect();
        format!("give a number from 0 to 255, or one of {}", names.join(", "))
    })
}

/// A routing table.
pub(super) fn table(word: &str) -> Result<u32, String> {
    let named = (1..=255).find(|&table| table_name(table) == Some(word));
    named
        .or_else(|| word.parse().ok().filter(|table| *table != 0))
        .ok_or_else(|| "give a number from 1, or one of main, local, default".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_taken_and_nothing_else() {
        assert_eq!((protocol("bgp"), protocol("82")), (Ok(186), Ok(82)));
        assert_eq!((table("main"), table("1000")), (Ok(254), Ok(1000)));
        for word in ["", "256", "-1", "nonsense"] {
            assert!(protocol(word).is_err(), "{word}");
        }
        for word in ["", "0", "4294967296", "nonsense"] {
            assert!(table(word).is_err(), "{word}");
        }
    }
}
