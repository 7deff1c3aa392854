//! Times that come again, as five-field cron: "every weekday at 6 am" is `0 6 * * 1-5`.
//!
//! A schedule begins with a word that says how often (`every`, `hourly`, `nightly`, `on Mondays`) and may
//! hold a time of day before or after it. Times are UTC, as the contract has them.

use super::atom::{Atom, What};

/// The schedule at `at`, and where it ends.
pub(crate) fn schedule(atoms: &[Atom], at: usize) -> Option<(String, usize)> {
    if let Some(found) = literal(atoms, at) {
        return Some(found);
    }
    // The time may stand first: "at 03:30 every Sunday".
    if let Some((time, after)) = time(atoms, at) {
        let (rest, end) = often(atoms, skip_fill(atoms, after))?;
        return Some((rest.cron(Some(time)), end));
    }
    let (often, end) = often(atoms, at)?;
    match time(atoms, skip_fill(atoms, end)) {
        Some((time, end)) => Some((often.cron(Some(time)), end)),
        None => Some((often.cron(None), end)),
    }
}

/// A time of day at `at`, as the schedule of each day, and where it ends.
pub(crate) fn once_a_day(atoms: &[Atom], at: usize) -> Option<(String, usize)> {
    let ((hour, minute), end) = time(atoms, at)?;
    Some((format!("{minute} {hour} * * *"), end))
}

/// How often.
enum Often {
    Minutes(u32),
    Hours(u32),
    Days(u32),
    /// Days of the week, as cron has them; midnight where no time is said.
    Week(String),
    /// A day of each so many months.
    Month(u32, u32),
    Year,
    /// At two times a day.
    Twice,
}

impl Often {
    fn cron(&self, time: Option<(u32, u32)>) -> String {
        let (hour, minute) = time.unwrap_or((0, 0));
        match self {
            Often::Minutes(1) => "* * * * *".into(),
            Often::Minutes(n) => format!("*/{n} * * * *"),
            Often::Hours(1) => format!("{minute} * * * *"),
            Often::Hours(n) => format!("{minute} */{n} * * *"),
            Often::Days(1) => format!("{minute} {hour} * * *"),
            Often::Days(n) => format!("{minute} {hour} */{n} * *"),
            Often::Week(days) => format!("{minute} {hour} * * {days}"),
            Often::Month(day, 1) => format!("{minute} {hour} {day} * *"),
            Often::Month(day, n) => format!("{minute} {hour} {day} */{n} *"),
            Often::Year => format!("{minute} {hour} 1 1 *"),
            Often::Twice => format!("{minute} {hour},{} * * *", (hour + 12) % 24),
        }
    }
}

fn word(atoms: &[Atom], at: usize) -> &str {
    atoms.get(at).map_or("", |a| a.text.as_str())
}

fn skip_fill(atoms: &[Atom], mut at: usize) -> usize {
    while matches!(word(atoms, at), "," | "(" | "once" | "exactly" | "sharp") {
        at += 1;
    }
    at
}

/// Day of the week, as cron has it, for a day's name (also in the plural).
fn day(word: &str) -> Option<u32> {
    let word = word.strip_suffix('s').filter(|w| w.len() > 3).unwrap_or(word);
    ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
        .iter()
        .position(|d| {
            *d == word || (word.len() >= 3 && d[..3] == *word) || (word.len() == 4 && d.starts_with(word))
        })
        .and_then(|i| u32::try_from(i).ok())
}

fn often(atoms: &[Atom], at: usize) -> Option<(Often, usize)> {
    let every = matches!(
        word(atoms, at),
        "every" | "each" | "on" | "per" | "a" | "once" | "every single" | "once every" | "for every"
    );
    let start = if every { at + 1 } else { at };
    let on = matches!(word(atoms, at), "on");
    let mut next = start;
    while matches!(word(atoms, next), "the" | "a" | "per" | "every" | "each" | "single") && next < start + 2 {
        next += 1;
    }
    let first = word(atoms, next);
    if !every || matches!(word(atoms, at), "once") {
        let found = match first {
            "hourly" => Some(Often::Hours(1)),
            "daily" | "nightly" => Some(Often::Days(1)),
            "weekly" => return Some(weekday(atoms, next + 1).unwrap_or((Often::Week("0".into()), next + 1))),
            "monthly" => Some(Often::Month(1, 1)),
            "yearly" | "annually" => Some(Often::Year),
            "weekdays" => Some(Often::Week("1-5".into())),
            "weekends" => Some(Often::Week("0,6".into())),
            "twice"
                if matches!(word(atoms, next + 1), "a" | "per" | "every")
                    && word(atoms, next + 2) == "day" =>
            {
                return Some((Often::Twice, next + 3));
            }
            "twice" if word(atoms, next + 1) == "daily" => return Some((Often::Twice, next + 2)),
            _ => None,
        };
        if let Some(found) = found {
            return Some((found, next + 1));
        }
    }
    if !every && !is_plural_day(first) {
        return None;
    }
    // "every 15 minutes", "every other hour", "every second day".
    let (n, unit_at) = match atoms.get(next).and_then(Atom::number) {
        Some(n) if n.fract() == 0.0 && (1.0..=59.0).contains(&n) && !on =>
        {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 59")]
            (n as u32, next + 1)
        }
        _ if matches!(first, "other" | "second") => (2, next + 1),
        _ if first == "third" => (3, next + 1),
        _ if first == "half" || first == "half an" => {
            return (word(atoms, next + 1).starts_with("hour")).then_some((Often::Minutes(30), next + 2));
        }
        _ => (1, next),
    };
    let unit = word(atoms, unit_at);
    let found = match unit {
        _ if on
            && n == 1
            && !is_plural_day(unit)
            && !matches!(unit, "weekdays" | "weekends" | "first" | "last")
            && day(unit).is_none()
            && ordinal(atoms, next).is_none() =>
        {
            return None;
        }
        "minute" | "minutes" | "min" | "mins" => Often::Minutes(n),
        "hour" | "hours" | "hrs" | "h" => Often::Hours(n),
        "day" | "days" | "night" | "nights" => Often::Days(n),
        "morning" | "mornings" => {
            return Some((Often::Days(n), unit_at + 1));
        }
        "evening" | "evenings" | "afternoon" => Often::Days(n),
        "weekday" | "weekdays" | "working day" | "workday" | "workdays" => Often::Week("1-5".into()),
        "weekend" | "weekends" => Often::Week("0,6".into()),
        "working" if word(atoms, unit_at + 1).starts_with("day") => {
            return Some((Often::Week("1-5".into()), unit_at + 2));
        }
        "week" => {
            return Some(weekday(atoms, unit_at + 1).unwrap_or((Often::Week("0".into()), unit_at + 1)));
        }
        "month" | "months" => {
            if let Some((day, end)) = day_of_month(atoms, unit_at + 1) {
                return Some((Often::Month(day, n), end));
            }
            Often::Month(1, n)
        }
        "quarter" => Often::Month(1, 3),
        "year" => Often::Year,
        // "on Thursday" alone is a day, not a schedule: it needs a time.
        _ if on && day(unit).is_some() && !is_plural_day(unit) => {
            return days(atoms, unit_at).filter(|(_, end)| time(atoms, *end).is_some());
        }
        _ if day(unit).is_some() => return days(atoms, unit_at),
        _ => {
            // "on the first day of every month"
            let (day, mut end) = ordinal(atoms, next)?;
            while matches!(word(atoms, end), "day" | "of" | "every" | "each" | "the" | "a" | "for each")
                && end < next + 5
            {
                end += 1;
            }
            return matches!(word(atoms, end), "month" | "months").then_some((Often::Month(day, 1), end + 1));
        }
    };
    Some((found, unit_at + 1))
}

fn is_plural_day(word: &str) -> bool {
    word.ends_with('s') && word.len() > 5 && day(word).is_some() && word.contains("days")
}

/// "on Monday" after "weekly", "every week".
fn weekday(atoms: &[Atom], at: usize) -> Option<(Often, usize)> {
    let at = if word(atoms, at) == "on" { at + 1 } else { at };
    days(atoms, at)
}

/// "Monday", "Monday and Thursday", "Monday to Friday", "Mon-Fri".
fn days(atoms: &[Atom], at: usize) -> Option<(Often, usize)> {
    let first = day(word(atoms, at))?;
    let mut list = vec![first];
    let mut end = at + 1;
    loop {
        let joined = match word(atoms, end) {
            "to" | "-" | "through" | "until" | "till" => Some(true),
            "and" | "," | "&" => Some(false),
            _ => None,
        };
        let Some(span) = joined else { break };
        let skip = usize::from(matches!(word(atoms, end + 1), "and" | "every" | "on"));
        let Some(next) = day(word(atoms, end + 1 + skip)) else { break };
        if span {
            return Some((Often::Week(format!("{first}-{next}")), end + 2 + skip));
        }
        list.push(next);
        end += 2 + skip;
    }
    let list: Vec<String> = list.iter().map(u32::to_string).collect();
    Some((Often::Week(list.join(",")), end))
}

/// "1st", "first", "15th", "2nd".
fn ordinal(atoms: &[Atom], at: usize) -> Option<(u32, usize)> {
    let named =
        ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
    if let Some(i) = named.iter().position(|o| *o == word(atoms, at)) {
        return Some((u32::try_from(i).ok()? + 1, at + 1));
    }
    let n = atoms.get(at)?.number()?;
    let ending = matches!(word(atoms, at + 1), "st" | "nd" | "rd" | "th") && atoms[at + 1].glued;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 31")]
    (ending && (1.0..=31.0).contains(&n)).then_some((n as u32, at + 2))
}

/// "on the 1st", "on day 15".
fn day_of_month(atoms: &[Atom], mut at: usize) -> Option<(u32, usize)> {
    while matches!(word(atoms, at), "on" | "the" | "on the" | "day") {
        at += 1;
    }
    ordinal(atoms, at)
}

/// A time of day ("at 23:15", "at 6 am", "at midnight", "2:30pm") as hour and minute, and where it ends.
fn time(atoms: &[Atom], at: usize) -> Option<((u32, u32), usize)> {
    let said = matches!(word(atoms, at), "at" | "around" | "@");
    let start = if said { at + 1 } else { at };
    match word(atoms, start) {
        "midnight" => return Some(((0, 0), start + 1)),
        "noon" | "midday" => return Some(((12, 0), start + 1)),
        _ => {}
    }
    let whole = |i: usize, most: f64| -> Option<u32> {
        let n = atoms.get(i)?.number()?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0 and `most`")]
        (n.fract() == 0.0 && (0.0..=most).contains(&n)).then_some(n as u32)
    };
    let mut hour = whole(start, 23.0)?;
    let mut end = start + 1;
    let mut minute = 0;
    let mut clock = false;
    if atoms.get(end).is_some_and(|a| a.mark(':') && a.glued)
        && let Some(minutes) = whole(end + 1, 59.0)
    {
        (minute, end, clock) = (minutes, end + 2, true);
    }
    match word(atoms, end) {
        "am" | "a.m" => {
            (hour, end, clock) = (hour % 12, end + 1, true);
        }
        "pm" | "p.m" => {
            (hour, end, clock) = (hour % 12 + 12, end + 1, true);
        }
        "o'clock" | "h" | "hrs" | "hours" => (end, clock) = (end + 1, true),
        "in" if word(atoms, end + 1) == "the" && matches!(word(atoms, end + 2), "morning") => end += 3,
        _ => {}
    }
    if word(atoms, end) == "utc" || word(atoms, end) == "gmt" {
        end += 1;
    }
    (said || clock).then_some(((hour, minute), end))
}

/// Cron as written, five fields of digits and marks, or `@daily`.
fn literal(atoms: &[Atom], at: usize) -> Option<(String, usize)> {
    let atom = atoms.get(at)?;
    if atom.what == What::Name && is_cron(&atom.raw) {
        return Some((atom.raw.split_whitespace().collect::<Vec<_>>().join(" "), at + 1));
    }
    if atom.mark('@') {
        let cron = match word(atoms, at + 1) {
            "hourly" => "0 * * * *",
            "daily" | "midnight" => "0 0 * * *",
            "weekly" => "0 0 * * 0",
            "monthly" => "0 0 1 * *",
            "yearly" | "annually" => "0 0 1 1 *",
            _ => return None,
        };
        return Some((cron.into(), at + 2));
    }
    // Unquoted: marks and numbers, until five fields are full.
    if !atom.mark('*') && atom.number().is_none() {
        return None;
    }
    let mut text = String::new();
    let mut end = at;
    while let Some(atom) = atoms.get(end).filter(|_| end < at + 24) {
        let part = match &atom.what {
            What::Number(_) => atom.raw.as_str(),
            What::Mark('*') => "*",
            What::Mark('/') => "/",
            What::Mark(',') if atoms.get(end + 1).is_some_and(|a| a.glued && a.number().is_some()) => ",",
            What::Mark('-') => "-",
            _ => break,
        };
        if !atom.glued && !text.is_empty() {
            if text.split(' ').count() == 5 {
                break;
            }
            text.push(' ');
        }
        text.push_str(part);
        end += 1;
    }
    is_cron(&text).then_some((text, end))
}

fn is_cron(text: &str) -> bool {
    let fields: Vec<_> = text.split_whitespace().collect();
    fields.len() == 5
        && text.contains('*')
        && fields.iter().all(|f| {
            let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
            let known = f.chars().all(|c| c.is_ascii_digit() || "*/,-".contains(c));
            known || names.iter().any(|n| f.to_ascii_lowercase().contains(n))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::atom::atoms;
    use crate::token::tokens;
    use code_core::parser::Vocabulary;

    fn check(text: &str, expect: &str) {
        let atoms = atoms(&tokens(text), &Vocabulary::default());
        let found = schedule(&atoms, 0).map(|(cron, _)| cron);
        assert_eq!(found.as_deref(), (!expect.is_empty()).then_some(expect), "{text:?}");
    }

    #[test]
    fn times_that_come_again_become_cron() {
        check("every night at 2", "0 2 * * *");
        check("hourly", "0 * * * *");
        check("every day at 23:15 UTC", "15 23 * * *");
        check("every 15 minutes", "*/15 * * * *");
        check("every other hour", "0 */2 * * *");
        check("every 6 hours", "0 */6 * * *");
        check("every Monday at 9am", "0 9 * * 1");
        check("every weekday at 6 am", "0 6 * * 1-5");
        check("weekdays at 6:30pm", "30 18 * * 1-5");
        check("on the first day of every month at 05:00", "0 5 1 * *");
        check("every month on the 15th at noon", "0 12 15 * *");
        check("at 03:30 every Sunday", "30 3 * * 0");
        check("every Monday and Thursday at 7", "0 7 * * 1,4");
        check("Mondays at 8", "0 8 * * 1");
        check("weekly on Friday at 4pm", "0 16 * * 5");
        check("daily at midnight", "0 0 * * *");
        check("every minute", "* * * * *");
        check("every half hour", "*/30 * * * *");
        check("`0 7 * * 1`", "0 7 * * 1");
        check("*/5 * * * *", "*/5 * * * *");
        check("@daily", "0 0 * * *");
        check("twice a day at 3am", "0 3,15 * * *");
        check("on Kubernetes", "");
        check("every worker", "");
        check("at 5", "");
    }
}
