//! Values of options: what has a name in the kernel's headers, by name or number; durations.

use std::time::Duration;

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

/// A duration such as `500ms`, `5s`, `2m` or `1h`; at most a day.
pub(super) fn duration(word: &str) -> Result<Duration, String> {
    let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = word.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("give a number and a unit: 500ms, 5s, 2m or 1h".to_owned()),
    };
    let number = number.parse::<u64>().ok().and_then(|number| number.checked_mul(millis));
    let duration = number.map(Duration::from_millis).filter(|it| *it <= DURATION_MAX);
    duration.ok_or_else(|| "give a duration of at most 24h".to_owned())
}

/// Who waits longer than that wants `run`.
const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

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

    #[test]
    fn durations_need_a_unit_and_end_somewhere() {
        let millis = |word| duration(word).map(|it| it.as_millis());
        assert_eq!([millis("500ms"), millis("5s")], [Ok(500), Ok(5_000)]);
        assert_eq!(
            [millis("2m"), millis("24h"), millis("0s")],
            [Ok(120_000), Ok(86_400_000), Ok(0)]
        );
        for word in ["", "5", "s", "-5s", "5 s", "1.5s", "5d", "25h", "99999999999999999999s"] {
            assert!(duration(word).is_err(), "{word}");
        }
    }
}
