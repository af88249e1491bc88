//! Numbers, amounts and hashes as people read them.

pub(crate) use fork_worker::text::grouped;

/// Nanomina in one MINA.
const NANOMINA_PER_MINA: u128 = 1_000_000_000;

/// Characters of a hash that are shown at its beginning and at its end.
const HEAD: usize = 10;
const TAIL: usize = 6;

/// Nanomina, decimal text, as MINA. What is no number stays as it is.
pub(crate) fn mina(nanomina: &str) -> String {
    let Ok(amount) = nanomina.parse::<u128>() else {
        return nanomina.to_owned();
    };
    let (whole, fraction) = (amount / NANOMINA_PER_MINA, amount % NANOMINA_PER_MINA);
    if fraction == 0 {
        return grouped(whole);
    }
    let decimals = format!("{fraction:09}");
    format!("{}.{}", grouped(whole), decimals.trim_end_matches('0'))
}

/// Nanomina as MINA with three digits and a unit, for an axis.
pub(crate) fn mina_short(nanomina: u128) -> String {
    const UNITS: [&str; 6] = ["", "k", "M", "G", "T", "P"];
    let mut thousandths = nanomina / (NANOMINA_PER_MINA / 1000);
    let mut unit = 0;
    while thousandths >= 1_000_000 && unit + 1 < UNITS.len() {
        thousandths /= 1000;
        unit += 1;
    }
    let (whole, rest) = (thousandths / 1000, thousandths % 1000);
    let digits = match whole {
        0..10 => 2,
        10..100 => 1,
        _ => 0,
    };
    let decimals = format!("{rest:03}");
    let decimals = decimals[..digits].trim_end_matches('0');
    let dot = if decimals.is_empty() { "" } else { "." };
    let unit = UNITS.get(unit).copied().unwrap_or_default();
    format!("{}{dot}{decimals}{unit}", grouped(whole))
}

/// Both ends of a hash.
pub(crate) fn short_hash(hash: &str) -> String {
    let chars: Vec<char> = hash.chars().collect();
    if chars.len() <= HEAD + TAIL + 1 {
        return hash.to_owned();
    }
    let head: String = chars.iter().take(HEAD).collect();
    let tail: String = chars.iter().skip(chars.len() - TAIL).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(mina("1234500000000"), "1,234.5");
        assert_eq!(mina("1"), "0.000000001");
        assert_eq!(mina("x"), "x");
        for (nanomina, text) in [
            (0, "0"),
            (1_500_000_000, "1.5"),
            (15_670_000_000, "15.6"),
            (999_999_000_000_000, "999k"),
            (1_234_567_000_000_000_000, "1.23G"),
            (u128::MAX / 10, "34,028,236,692,093P"),
        ] {
            assert_eq!(mina_short(nanomina), text);
        }
        assert_eq!(short_hash(&"a".repeat(17)), "a".repeat(17));
        assert_eq!(short_hash("0123456789abcdefghijklm"), "0123456789…hijklm");
    }
}
