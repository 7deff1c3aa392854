//! The port of a component's stable address.

use code_core::Digest;
use code_core::recipe::At;

/// The ports that are given where the spec names none: below those that Linux and macOS hand out for
/// outgoing connections, above those of well-known services.
const RANGE: std::ops::Range<u16> = 20_000..30_000;

/// The port of a component: that of the spec, else one that only depends on the deployment's and the
/// component's names, so that it stays the same on every machine and in every revision.
pub fn port(at: &At<'_>) -> u16 {
    at.component.port.unwrap_or_else(|| {
        let names = [&at.spec.application, &at.spec.environment, &at.component.name];
        let digest = Digest::of_parts(names.map(|name| name.as_bytes()));
        let number = u16::from_le_bytes([digest.as_bytes()[0], digest.as_bytes()[1]]);
        RANGE.start + number % (RANGE.end - RANGE.start)
    })
}
