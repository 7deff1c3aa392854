//! Which modules a root calls, and whether it may: each is pinned, and from where it is allowed to come. Pure.
//!
//! | source | pinned by |
//! |---|---|
//! | `./network`, `../network` | the root's own digest: it is one of its files |
//! | `terraform-aws-modules/vpc/aws`, `HOST/NAMESPACE/NAME/SYSTEM` | `version = "5.1.2"`, exactly |
//! | `git::https://…`, `github.com/…` and what else is git | `?ref=` with a whole commit |
//! | an archive, a bucket, a registry of images | `checksum=` or `digest=` in it |
//!
//! The forms of a source are those of <https://opentofu.org/docs/language/modules/sources/>.

use code_core::{Error, ErrorKind, Result};
use serde_json::Value;

use super::hcl::{Token, tokens};

/// Where registry modules without a host come from.
const REGISTRIES: [&str; 2] = ["registry.opentofu.org/", "registry.terraform.io/"];

/// A call of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) name: String,
    /// Where the module comes from; `None` where that is no plain text.
    pub(super) source: Option<String>,
    pub(super) version: Option<String>,
}

/// The calls in a file.
pub(super) fn calls(name: &str, text: &str) -> Vec<Call> {
    if name.ends_with(".json") { calls_in_json(text) } else { calls_in_hcl(text) }
}

fn calls_in_hcl(text: &str) -> Vec<Call> {
    let tokens = tokens(text);
    let (mut found, mut inside, mut depth, mut at) = (Vec::new(), false, 0_usize, 0);
    while at < tokens.len() {
        match &tokens[at..] {
            [Token::Word("module"), Token::Text(name) | Token::Word(name), Token::Sign('{'), ..]
                if depth == 0 =>
            {
                found.push(Call { name: (*name).to_owned(), source: None, version: None });
                (inside, depth) = (true, 1);
                at += 2;
            }
            [Token::Word(key), Token::Sign('='), Token::Text(value), ..] if inside && depth == 1 => {
                // What is only known by calculating it is not taken for a text.
                let plain = !value.contains(['\\', '$', '%']);
                if let Some(call) = found.last_mut().filter(|_| plain) {
                    match *key {
                        "source" => call.source = Some((*value).to_owned()),
                        "version" => call.version = Some((*value).to_owned()),
                        _ => {}
                    }
                }
            }
            [Token::Sign('{'), ..] => depth += 1,
            [Token::Sign('}'), ..] => {
                depth = depth.saturating_sub(1);
                inside &= depth > 0;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

fn calls_in_json(text: &str) -> Vec<Call> {
    let file: Value = serde_json::from_str(text).unwrap_or_default();
    let all = match &file["module"] {
        Value::Array(all) => all.iter().collect(),
        one => vec![one],
    };
    let mut found = Vec::new();
    for (name, call) in all.into_iter().filter_map(Value::as_object).flatten() {
        let call = call.as_array().and_then(|calls| calls.first()).unwrap_or(call);
        let plain =
            |key: &str| call[key].as_str().filter(|text| !text.contains(['$', '%'])).map(str::to_owned);
        found.push(Call { name: name.clone(), source: plain("source"), version: plain("version") });
    }
    found
}

/// Where the files of a local module are, relative to those that call it; `None` for any other module.
pub(super) fn local(call: &Call) -> Option<&str> {
    call.source.as_deref().filter(|source| source.starts_with("./") || source.starts_with("../"))
}

/// Whether a module may be called.
///
/// # Errors
/// `terraform::module` where it is not from an allowed place, `terraform::unpinned` where tomorrow it may be another.
pub(super) fn check(call: &Call, allowed: &[String]) -> Result<()> {
    let Some(source) = &call.source else {
        return Err(refused(&call.name, "its source is not a plain text", "write its source as a text"));
    };
    if local(call).is_some() {
        return Ok(());
    }
    let place = place(source);
    let is_below = |of: &String| place.strip_prefix(of.as_str()).is_some_and(|rest| is_end(of, rest));
    if source.contains("..") || !allowed.iter().any(is_below) {
        let help = format!("where you trust it, add it to code.toml: `[terraform] modules = [\"{place}\"]`");
        return Err(refused(&call.name, &format!("`{place}` is not on the list of modules"), &help));
    }
    let (pinned, help) = match kind(source) {
        Kind::Registry => {
            (call.version.as_deref().is_some_and(is_exact), "give one version: `version = \"1.2.3\"`")
        }
        Kind::Git => {
            (query(source, "ref").is_some_and(is_commit), "name a whole commit in its source: `?ref=COMMIT`")
        }
        Kind::Other => (
            ["checksum", "digest"].iter().any(|name| query(source, name).is_some()),
            "name its digest in its source: `?checksum=sha256:DIGEST`",
        ),
    };
    if pinned {
        return Ok(());
    }
    let message = format!("call the module `{}`: tomorrow it may be another one", call.name);
    Err(Error::new(ErrorKind::Refused, "terraform::unpinned", message)
        .help(help)
        .with("source", source.clone()))
}

fn refused(name: &str, why: &str, help: &str) -> Error {
    Error::new(ErrorKind::Refused, "terraform::module", format!("call the module `{name}`: {why}")).help(help)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Registry,
    Git,
    Other,
}

fn kind(source: &str) -> Kind {
    let hosted = ["git::", "git@", "ssh://", "github.com/", "bitbucket.org/"];
    if hosted.iter().any(|start| source.starts_with(start)) {
        return Kind::Git;
    }
    let address = source.split("//").next().unwrap_or_default();
    let good = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'))
    };
    let parts: Vec<&str> = address.split('/').collect();
    let is_address = (parts.len() == 3 || parts.len() == 4) && parts.iter().all(|part| good(part));
    if is_address && !source.contains("::") { Kind::Registry } else { Kind::Other }
}

/// A source without what comes after its place: the module in it, and what is asked of it.
fn place(source: &str) -> &str {
    let source = REGISTRIES.iter().find_map(|host| source.strip_prefix(host)).unwrap_or(source);
    let source = source.split('?').next().unwrap_or(source);
    // The `//` of an address is not that before a directory.
    let from = source.find("://").map_or(0, |at| at + 3);
    source[from..].find("//").map_or(source, |end| &source[..from + end])
}

/// Whether a place that begins with an allowed one is below it, and not another of a longer name.
fn is_end(allowed: &str, rest: &str) -> bool {
    rest.is_empty() || allowed.ends_with('/') || rest.starts_with('/')
}

fn query<'a>(source: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = source.split_once('?')?;
    query
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
        .map(|(_, value)| value)
}

/// `1.2.3` or `= 1.2.3`.
fn is_exact(version: &str) -> bool {
    let version = version.trim();
    let version = version.strip_prefix('=').unwrap_or(version).trim();
    let (numbers, _) = version.split_once(['-', '+']).unwrap_or((version, ""));
    numbers.split('.').count() == 3 && numbers.split('.').all(|part| part.parse::<u32>().is_ok())
}

fn is_commit(name: &str) -> bool {
    matches!(name.len(), 40 | 64) && name.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_in_both_syntaxes() {
        let call = |name: &str, source: Option<&str>, version: Option<&str>| Call {
            name: name.to_owned(),
            source: source.map(str::to_owned),
            version: version.map(str::to_owned),
        };
        let check = |file: &str, text: &str, expect: &[Call]| assert_eq!(calls(file, text), expect, "{text}");
        let hcl = "module \"a\" {\n  source = \"x/y/z\" # here\n  version = \"1.0.0\"\n  tags = { source = \"no\" }\n}\n\
                   resource \"module\" \"b\" { source = \"no\" }\nmodule \"c\" {\n  source = \"${var.x}\"\n}\n\
                   module \"d\" { source = var.x }\n";
        let all = [call("a", Some("x/y/z"), Some("1.0.0")), call("c", None, None), call("d", None, None)];
        check("main.tf", hcl, &all);
        check("a.tf.json", r#"{"module": {"a": {"source": "./b"}}}"#, &[call("a", Some("./b"), None)]);
        check("a.tf.json", r#"{"module": [{"a": [{"source": "${b}"}]}]}"#, &[call("a", None, None)]);
        check("main.tf", "output \"module\" { value = 1 }", &[]);
    }

    #[test]
    fn a_module_is_pinned_and_from_an_allowed_place() {
        let allowed = [
            "acme/".to_owned(),
            "git::https://example.org/ops".to_owned(),
            "https://example.org/".to_owned(),
        ];
        let check = |source: &str, version: Option<&str>, expect: Option<&str>| {
            let call =
                Call { name: "x".into(), source: Some(source.into()), version: version.map(str::to_owned) };
            let error = super::check(&call, &allowed).err();
            assert_eq!(error.as_ref().map(Error::code), expect, "{source}: {error:?}");
        };
        let commit = "0123456789abcdef0123456789abcdef01234567";
        check("./network", None, None);
        check("../network", None, None);
        check("acme/vpc/aws", Some("5.1.2"), None);
        check("registry.terraform.io/acme/vpc/aws//modules/x", Some("= 5.1.2"), None);
        check("acme/vpc/aws", Some("~> 5.1"), Some("terraform::unpinned"));
        check("acme/vpc/aws", Some("5.1"), Some("terraform::unpinned"));
        check("acme/vpc/aws", None, Some("terraform::unpinned"));
        check("other/vpc/aws", Some("5.1.2"), Some("terraform::module"));
        check("acme.example/acme/vpc/aws", Some("5.1.2"), Some("terraform::module"));
        check(&format!("git::https://example.org/ops/net.git//x?ref={commit}"), None, None);
        check("git::https://example.org/ops/net.git?ref=main", None, Some("terraform::unpinned"));
        check(
            &format!("git::https://example.org/ops-evil/net?ref={commit}"),
            None,
            Some("terraform::module"),
        );
        check(&format!("git::https://example.org/ops/../evil?ref={commit}"), None, Some("terraform::module"));
        check("https://example.org/net.zip", None, Some("terraform::unpinned"));
        check("https://example.org/net.zip?checksum=sha256:00", None, None);
        check("/etc/modules", None, Some("terraform::module"));
    }
}
