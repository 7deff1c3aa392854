//! The forms of a secret that are looked for in every view of a text: few, because a view takes encodings off.

use std::collections::BTreeSet;

use zeroize::Zeroizing;

use crate::redact::SHORTEST;
use crate::redact::views::Views;

/// Every form of a secret that is long enough to be looked for.
pub(super) fn of(secret: &str) -> Vec<Zeroizing<Vec<u8>>> {
    let mut forms = BTreeSet::new();
    // A tool writes a key of many lines line by line.
    let lines = secret.lines().map(str::trim).filter(|line| *line != secret);
    for text in std::iter::once(secret).chain(lines).filter(|text| text.len() >= SHORTEST) {
        // As it is; and as a view shows it that took off what looks like an encoding in the secret itself.
        // That may be no text any more: `%aa` is a byte.
        forms.extend(Views::of(text).shown().map(<[u8]>::to_vec));
        // A blank of a form's field (WHATWG URL, "application/x-www-form-urlencoded").
        forms.insert(text.replace(' ', "+").into_bytes());
    }
    forms.into_iter().filter(|form| form.len() >= SHORTEST).map(Zeroizing::new).collect()
}
