use proptest::prelude::*;

use super::*;

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = text.bytes().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let digit = |six: &[u8]| {
        let value = six.iter().chain(&[0; 6]).take(6).fold(0, |value, bit| value << 1 | bit);
        char::from(DIGITS[usize::from(value)])
    };
    bits.chunks(6).map(digit).collect()
}

/// With all secrets of `secrets` known, `text` becomes `expect`.
fn check(secrets: &[&str], text: &str, expect: &str) {
    let redactor = Redactor::default();
    for secret in secrets {
        redactor.learn(&Secret::new(*secret));
    }
    assert_eq!(redactor.redact(text), expect, "{text}");
    assert_eq!(redactor.finds(text), text != expect, "{text}");
}

#[test]
fn a_secret_is_found_in_every_form() {
    for text in [
        "postgres://u:p\"ä s/w+rd?ÿ@h",
        r#"{"x":"p\"ä s/w+rd?ÿ"}"#,
        r#"{"x":"p\"\u00e4 s\/w+rd?\u00FF"}"#,
        r#"{"x":"{\"y\":\"p\\\"\\u00e4 s\\/w+rd?\\u00ff\"}"}"#,
        "postgres://u:p%22%C3%A4%20s%2Fw%2Brd%3F%C3%BF@h",
        "postgres://u:p%22%c3%a4%20s/w%2brd?%c3%bf@h",
        "%70%22%C3%A4%20%73%2F%77%2B%72%64%3F%C3%BF",
        "a=p%22%C3%A4+s%2Fw%2Brd%3F%C3%BF&b=c",
        "p%2522%25C3%25A4%2520s%252Fw%252Brd%253F%25C3%25BF",
        "<td>p&quot;ä s/w+rd?&#255;</td>",
        "Some(\"p\\\"\\u{e4} s/w+rd?\\xc3\\xbf\")",
        "p\\\"ä\\ s/w+rd\\?ÿ",
        "7022c3a420732f772b72643fc3bf",
        "7022C3A420732F772B72643FC3BF",
        // printf 'p"ä s/w+rd?ÿ' | base64, then with one and two bytes before it
        "cCLDpCBzL3crcmQ/w78=",
        "eHAiw6Qgcy93K3JkP8O/",
        "eHhwIsOkIHMvdytyZD/Dvw==",
        "cCLDpCBzL3crcmQ_w78",
        "cCLDpCBz\n    L3crcmQ/\r\nw78=",
        "cCLDpCBzL3crcmQ%2Fw78%3D",
        // printf 'p"ä s/w+rd?ÿ' | base64 | base64
        "Y0NMRHBDQnpMM2NyY21RL3c3OD0=",
    ] {
        let redactor = Redactor::default();
        redactor.learn(&Secret::new("p\"ä s/w+rd?ÿ"));
        let redacted = redactor.redact(text);
        assert!(redacted.contains(REDACTED), "{text} → {redacted}");
    }
}

#[test]
fn what_stands_around_a_secret_stays() {
    check(&["hunter22hunter"], "pg://u:hunter22hunter@h/db", "pg://u:[redacted]@h/db");
    check(&["hunter22hunter"], "ähunter22hunterähunter22hunter", "ä[redacted]ä[redacted]");
    check(&["hunter22hunter"], "nothing here: 100 %, \\o/, &c. \"'", "nothing here: 100 %, \\o/, &c. \"'");
    check(&["hunter22hunter"], "hunter22", "hunter22");
    check(&[r"a\$b\'long"], r"sh -c 'a\$b\'\''long'", "sh -c '[redacted]'");
    check(&["it's secret"], "sh -c 'login '\"'\"'it'\\''s secret'", "sh -c 'login '\"'\"'[redacted]'");
    // One secret is the beginning of another; they touch; they overlap.
    check(&["hunter22", "hunter22hunter"], "a hunter22hunter b hunter22 c", "a [redacted] b [redacted] c");
    check(&["first-one", "second-one"], "first-onesecond-one", "[redacted]");
    check(&["abcdefgh", "efghijkl"], "abcdefghijkl", "[redacted]");
}

#[test]
fn the_same_in_two_encodings_is_two_places() {
    let (secret, hex) = ("hunter22hunter", "68756e746572323268756e746572");
    let base64 = base64(secret);
    check(&[secret], &format!("{hex} | {base64}"), "[redacted] | [redacted]");
    check(&[secret], &format!("{secret} | {base64} | {hex}"), "[redacted] | [redacted] | [redacted]");
    check(&[secret], &format!("{hex} | {base64}").replace(' ', "%20"), "[redacted]%20|%20[redacted]");
}

#[test]
fn each_line_of_a_key_is_secret() {
    let key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\n  kqhkiG9w0BAQEF\nAAS\n-----END KEY-----\n";
    check(&[key], "read line kqhkiG9w0BAQEF of", "read line [redacted] of");
    check(&[key], &key.replace('\n', "\\n"), "[redacted]");
    check(&[key], "AAS", "AAS");
}

#[test]
fn what_looks_like_an_escape_in_a_secret_is_no_hiding_place() {
    let secret = r"long-a%41\u0041&amp;\\n";
    for text in [secret.to_owned(), serde_json::to_string(secret).unwrap(), format!("{secret:?}")] {
        let redactor = Redactor::default();
        redactor.learn(&Secret::new(secret));
        assert!(!redactor.redact(&text).contains("41"), "{text}");
    }
}

#[test]
fn an_escape_in_a_secret_may_be_no_text() {
    // `%aa` is a byte that no text has, and it is read as one wherever other escapes are taken off.
    let secret = "a\"%aA\"long";
    check(&[secret], &serde_json::to_string(secret).unwrap(), "\"[redacted]\"");
}

#[test]
fn the_end_of_a_secret_and_what_follows_may_look_like_an_escape() {
    for (secret, after) in [("a\"secret%", "00"), ("a\"secret&", "lt; b"), ("a\"secret", "%20b")] {
        let text = serde_json::to_string(&format!("{secret}{after}")).unwrap();
        check(&[secret], &text, &format!("\"[redacted]{after}\""));
        check(&[secret], &serde_json::to_string(&text).unwrap(), &format!("\"\\\"[redacted]{after}\\\"\""));
    }
}

#[test]
fn a_short_word_is_no_secret() {
    check(&["seven77"], "a seven77 b", "a seven77 b");
    check(&[""], "a", "a");
}

#[test]
fn nothing_of_a_secret_is_kept() {
    let redactor = Redactor::default();
    redactor.learn(&Secret::new("hunter22hunter"));
    assert_eq!(format!("{redactor:?}"), "Redactor");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// However each character is written, the whole is found, and what stands before and after stays.
    #[test]
    fn any_mix_of_escapes_is_found(
        secret in "[a-zA-Z0-9!-~äπ🦀]{8,40}",
        ways in prop::collection::vec(0usize..6, 40),
        before in "[ a-z]{0,20}", after in "[ a-z]{0,20}",
    ) {
        let mut written = String::new();
        for (character, way) in secret.chars().zip(ways) {
            let mut units = [0; 2];
            let json = |c: char, units: &mut [u16; 2]| -> String {
                c.encode_utf16(units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
            };
            written += &match way {
                0 => json(character, &mut units),
                1 => character.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect(),
                2 => character.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect(),
                3 => format!("&#{};", character as u32),
                4 => format!("\\u{{{:x}}}", character as u32),
                // As it is, where that is no escape itself.
                _ if matches!(character, '\\' | '%' | '&' | '\'' | '"') => format!("\\{character}"),
                _ => character.to_string(),
            };
        }
        let redactor = Redactor::default();
        redactor.learn(&Secret::new(&*secret));
        let redacted = redactor.redact(&format!("{before}<{written}>{after}"));
        prop_assert_eq!(redacted, format!("{before}<{REDACTED}>{after}"));
    }

    /// Wherever it stands in a longer text that is encoded, also twice, nothing of it is left to be decoded.
    #[test]
    fn what_is_encoded_with_other_things_is_found(
        secret in "\\PC{8,30}",
        before in "[ -~]{0,8}", after in "[ -~]{0,8}",
        ways in prop::collection::vec(0usize..3, 1..4),
    ) {
        let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut written = format!("{before}{secret}{after}");
        for way in ways {
            written = match way {
                0 => hex(&written),
                1 => serde_json::to_string(&written).unwrap(),
                _ => base64(&written),
            };
        }
        let redactor = Redactor::default();
        redactor.learn(&Secret::new(&*secret));
        let redacted = redactor.redact(&format!("token={written};"));
        prop_assert!(redacted.contains(REDACTED), "{}", redacted);
        prop_assert_eq!(redactor.redact(&redacted), redacted);
    }

    /// Whatever is known, a text without secrets is as it was, and redaction of what is redacted changes nothing.
    #[test]
    fn redaction_is_done_once(
        secrets in prop::collection::vec("[a-z]{8,12}", 0..5),
        text in "\\PC{0,60}",
        at in 0usize..60,
    ) {
        let redactor = Redactor::default();
        secrets.iter().for_each(|secret| redactor.learn(&Secret::new(&**secret)));
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let full = format!("{}{}{}", &text[..at], secrets.concat(), &text[at..]);
        let once = redactor.redact(&full);
        for secret in &secrets {
            prop_assert!(!once.contains(secret.as_str()));
        }
        prop_assert_eq!(redactor.redact(&once), once);
    }
}
