//! Names and digests: how things are told apart.
//!
//! A [`Digest`] names content, a name ([`check_name`]) what a person calls a thing, a [`Deployment`] an
//! application in an environment, an [`Address`] a resource of a deployment, and a [`Key`] one step of one
//! plan, the same through every retry and resume.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, ErrorKind, Result};

/// A BLAKE3 hash of content, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of nothing: what the first record of a chain is bound to.
    pub const ZERO: Digest = Digest([0; 32]);

    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(*blake3::hash(bytes).as_bytes())
    }

    /// The digest of a value's canonical JSON: keys sorted, no white space.
    ///
    /// A value that has no JSON (a map with keys that are no strings) has the digest of its error; the
    /// nouns of this crate all have one.
    pub fn of_json(value: &impl Serialize) -> Digest {
        match serde_json::to_value(value) {
            Ok(value) => {
                let mut text = String::new();
                canonical(&value, &mut text);
                Digest::of(text.as_bytes())
            }
            Err(error) => Digest::of(format!("no JSON: {error}").as_bytes()),
        }
    }

    /// The digest of several parts, each with its length, so that no two lists of parts share one.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Digest(*hasher.finalize().as_bytes())
    }

    /// A digest from its raw bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 12 digits: enough for a person to tell two apart.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                canonical(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            // Sorted here, because another crate in the graph may switch on serde_json's `preserve_order`.
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            out.push('{');
            for (i, key) in keys.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                canonical(&map[key], out);
            }
            out.push('}');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.short())
    }
}

impl FromStr for Digest {
    type Err = Error;
    fn from_str(text: &str) -> Result<Digest> {
        let bad = || {
            Error::new(ErrorKind::Invalid, "id::digest", "read a digest: 64 hexadecimal digits are needed")
                .help("copy the digest whole, as it was printed")
                .with("digest", text)
        };
        if text.len() != 64 || !text.is_ascii() {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| bad())?;
        }
        Ok(Digest(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl JsonSchema for Digest {
    fn schema_name() -> Cow<'static, str> {
        "Digest".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
            "description": "A BLAKE3 hash, as 64 hexadecimal digits."
        })
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> std::result::Result<Digest, D::Error> {
        Cow::<'de, str>::deserialize(d)?.parse().map_err(|_| serde::de::Error::custom("not a digest"))
    }
}

/// Checks a name that becomes part of addresses, file names and host names: 1 to 63 lower-case letters,
/// digits and hyphens, beginning and ending with a letter or digit (the labels of RFC 1123).
///
/// # Errors
/// `id::name` says what is wrong with it and suggests the nearest name that would do.
pub fn check_name(what: &str, name: &str) -> Result<()> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = (1..=63).contains(&name.len())
        && name.chars().all(inner)
        && name.starts_with(edge)
        && name.ends_with(edge);
    if good {
        return Ok(());
    }
    let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
    let suggestion = name_from(name);
    Err(Error::new(ErrorKind::Invalid, "id::name", format!("use \"{shown}\" as the name of {what}")).help(
        if suggestion.is_empty() {
            "use 1 to 63 lower-case letters, digits and hyphens".to_owned()
        } else {
            format!("use 1 to 63 lower-case letters, digits and hyphens, for example `{suggestion}`")
        },
    ))
}

/// The nearest name that [`check_name`] accepts, or an empty string where nothing is left.
pub fn name_from(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        } else if !name.ends_with('-') && !name.is_empty() {
            name.push('-');
        }
        if name.len() == 63 {
            break;
        }
    }
    name.trim_end_matches('-').to_owned()
}

/// What is deployed where: an application in an environment, written `application/environment`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Deployment {
    application: String,
    environment: String,
}

impl Deployment {
    /// A deployment of `application` in `environment`; both must be names ([`check_name`]).
    ///
    /// # Errors
    /// `id::name` where one is not.
    pub fn new(application: &str, environment: &str) -> Result<Deployment> {
        check_name("an application", application)?;
        check_name("an environment", environment)?;
        Ok(Deployment { application: application.to_owned(), environment: environment.to_owned() })
    }

    /// The application's name.
    pub fn application(&self) -> &str {
        &self.application
    }

    /// The environment's name.
    pub fn environment(&self) -> &str {
        &self.environment
    }
}

impl fmt::Display for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.application, self.environment)
    }
}

impl FromStr for Deployment {
    type Err = Error;
    fn from_str(text: &str) -> Result<Deployment> {
        match text.split_once('/') {
            Some((application, environment)) => Deployment::new(application, environment),
            None => Err(Error::new(ErrorKind::Invalid, "id::deployment", "read the name of a deployment")
                .help("write it as `application/environment`, for example `shop/staging`")
                .with("name", text.chars().take(80).collect::<String>())),
        }
    }
}

impl TryFrom<String> for Deployment {
    type Error = Error;
    fn try_from(text: String) -> Result<Deployment> {
        text.parse()
    }
}

impl From<Deployment> for String {
    fn from(deployment: Deployment) -> String {
        deployment.to_string()
    }
}

/// Where a resource stands in its deployment: `component/resource`, for example `web/route`.
///
/// The address of a local process also carries the revision of its component and its index:
/// `web/process.r2.0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Address(String);

impl Address {
    /// The address of `resource` in `component`.
    ///
    /// # Errors
    /// `id::address` where a part is empty or holds anything but lower-case letters, digits, `-` and `.`.
    pub fn new(component: &str, resource: &str) -> Result<Address> {
        let good = |part: &str| {
            !part.is_empty()
                && part.len() <= 100
                && part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.')
        };
        if good(component) && good(resource) {
            Ok(Address(format!("{component}/{resource}")))
        } else {
            Err(Error::new(ErrorKind::Invalid, "id::address", "read the address of a resource")
                .help("an address is `component/resource`, each of lower-case letters, digits, `-` and `.`")
                .with("address", format!("{component}/{resource}").chars().take(80).collect::<String>()))
        }
    }

    /// The component's part.
    pub fn component(&self) -> &str {
        self.0.split_once('/').map_or("", |(component, _)| component)
    }

    /// The resource's part.
    pub fn resource(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, resource)| resource)
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Address {
    type Err = Error;
    fn from_str(text: &str) -> Result<Address> {
        let (component, resource) = text.split_once('/').unwrap_or((text, ""));
        Address::new(component, resource)
    }
}

impl TryFrom<String> for Address {
    type Error = Error;
    fn try_from(text: String) -> Result<Address> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        address.0
    }
}

/// A step of a plan, counted from 0 in the order in which the plan lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct StepId(pub u32);

impl StepId {
    /// As an index into the plan's steps.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The runs of a deployment, counted from 1.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// `hash(plan, step)`: what makes two calls of one step the same call, through retries and resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Key(pub Digest);

impl Key {
    /// The key of a step of a plan; an undo of the step has one of its own.
    pub fn of(plan: Digest, step: StepId, undo: bool) -> Key {
        let step = step.0.to_le_bytes();
        Key(Digest::of_parts([plan.as_bytes().as_slice(), &step, if undo { b"undo" } else { b"do" }]))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_json_does_not_depend_on_the_order_of_keys() {
        let a: Value = serde_json::from_str(r#"{"b":[1,{"d":null,"c":"x"}],"a":true}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{"a":true,"b":[1,{"c":"x","d":null}]}"#).unwrap();
        let c: Value = serde_json::from_str(r#"{"a":true,"b":[{"c":"x","d":null},1]}"#).unwrap();
        assert_eq!(Digest::of_json(&a), Digest::of_json(&b));
        assert_ne!(Digest::of_json(&a), Digest::of_json(&c));
    }

    #[test]
    fn parts_are_told_apart_by_their_lengths() {
        assert_ne!(Digest::of_parts([b"ab".as_slice(), b"c"]), Digest::of_parts([b"a".as_slice(), b"bc"]));
    }

    #[test]
    fn a_digest_is_read_as_it_is_written() {
        let digest = Digest::of(b"x");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        for bad in ["", "zz", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(bad.parse::<Digest>().unwrap_err().code(), "id::digest", "{bad}");
        }
    }

    #[test]
    fn hostile_names_are_refused_with_a_suggestion() {
        let long = "a".repeat(5000);
        for (bad, suggestion) in [
            ("", ""),
            ("../../x", "`x`"),
            ("-rf", "`rf`"),
            ("$(x)", "`x`"),
            ("My App", "`my-app`"),
            ("a\u{202e}b", "`a-b`"),
            (long.as_str(), "`aaa"),
        ] {
            let error = check_name("an application", bad).unwrap_err();
            assert_eq!(error.code(), "id::name");
            assert!(error.help_text().unwrap().contains(suggestion), "{bad}: {error:?}");
            let near = name_from(bad);
            assert!(near.is_empty() || check_name("an application", &near).is_ok());
        }
    }

    #[test]
    fn an_address_has_two_parts() {
        let address: Address = "web/process.r2.0".parse().unwrap();
        assert_eq!((address.component(), address.resource()), ("web", "process.r2.0"));
        for bad in ["web", "web/", "/x", "web/../x", "web/a/b", "web/.x", "Web/x"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
