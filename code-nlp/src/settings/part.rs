//! A component as settings and spec files may write it: every field may be left out.

use std::fmt;

use code_core::intent::Kind;
use schemars::JsonSchema;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Makes a struct with the fields that a component has in a file, after fields of its own.
///
/// Two files describe components, and each has a little that the other has not; `#[serde(flatten)]` would
/// give up both strictness and the places of values.
macro_rules! part_fields {
    ($(#[$meta:meta])* pub struct $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($own)*
            /// What it is.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub kind: Option<code_core::intent::Kind>,
            /// The product: `postgresql`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub engine: Option<String>,
            /// The product's version.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub version: Option<String>,
            /// A container image.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub image: Option<String>,
            /// The directory of its files, relative to this file.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub source: Option<String>,
            /// How it is built: a program and its arguments, run in `source`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub build: Option<Vec<String>>,
            /// How it is started: a program and its arguments, run in the release.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub start: Option<Vec<String>>,
            /// How many of it run: a number, or `min` and `max`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub replicas: Option<$crate::settings::Replicas>,
            /// Cores for each replica.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub cpu: Option<f64>,
            /// A quantity for each replica: `512Mi`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub memory: Option<String>,
            /// A quantity: `10Gi`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub storage: Option<String>,
            /// The port of its stable address.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub port: Option<u16>,
            /// Whether it is reachable from outside of the machine or the cluster.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub public: Option<bool>,
            /// A domain name.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub host: Option<String>,
            /// Encrypted in transit.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub tls: Option<bool>,
            /// Five-field cron, UTC.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub schedule: Option<String>,
            /// Environment variables.
            #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
            pub env: std::collections::BTreeMap<String, String>,
            /// How it is seen to be healthy.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub health: Option<$crate::settings::Health>,
            /// Replicated so that one failure does not stop it.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub highly_available: Option<bool>,
            /// Backed up.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub backups: Option<bool>,
            /// Encrypted at rest.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub encrypted: Option<bool>,
            /// The names of the components that it needs.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub depends_on: Vec<String>,
            /// How the root in `source` is applied, by OpenTofu or Terraform.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub terraform: Option<code_core::spec::Root>,
        }
    };
}
pub(crate) use part_fields;

part_fields! {
    /// What a component is when nothing else is said.
    pub struct PartSettings {}
}

/// How a component is seen to be healthy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// A path that answers with a status below 400; without one, an open TCP port is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How long a new process may take to become healthy, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
}

/// How many of a component run, written `3` or `{ min = 2, max = 5 }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Replicas {
    /// At least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    /// At most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
}

impl JsonSchema for Replicas {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Replicas".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let count =
            serde_json::json!({ "type": "integer", "minimum": 1, "maximum": code_core::spec::MAX_REPLICAS });
        schemars::json_schema!({
            "description": "How many run: a number, or at least and at most.",
            "anyOf": [
                count,
                {
                    "type": "object",
                    "properties": { "min": count, "max": count },
                    "additionalProperties": false
                }
            ]
        })
    }
}

impl<'de> Deserialize<'de> for Replicas {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Replicas, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Replicas;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of replicas, or a map with `min` and `max`")
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Replicas, E> {
                let n = u32::try_from(n).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(n), &self))?;
                Ok(Replicas { min: Some(n), max: Some(n) })
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Replicas, E> {
                match u64::try_from(n) {
                    Ok(n) => self.visit_u64(n),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Signed(n), &self)),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Replicas, A::Error> {
                let mut replicas = Replicas::default();
                while let Some(key) = map.next_key::<String>()? {
                    let end = match key.as_str() {
                        "min" => &mut replicas.min,
                        "max" => &mut replicas.max,
                        _ => return Err(de::Error::unknown_field(&key, &["min", "max"])),
                    };
                    *end = Some(map.next_value()?);
                }
                Ok(replicas)
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl PartSettings {
    /// What it is, where that is said.
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.kind
    }
}
