use proptest::prelude::*;

use super::*;

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
    check(&["it's secret"], "sh -c 'login '\"'\"'it'\\''s secret'", "sh -c 'login '\"'\"'[redacted]'");
    // One secret is the beginning of another; they touch; they overlap.
    check(&["hunter22", "hunter22hunter"], "a hunter22hunter b hunter22 c", "a [redacted] b [redacted] c");
    check(&["first-one", "second-one"], "first-onesecond-one", "[redacted]");
    check(&["abcdefgh", "efghijkl"], "abcdefghijkl", "[redacted]");
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
