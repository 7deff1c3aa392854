//! `${NAME.OUTPUT}` in a text: the output of another component, known when it is there.

use code_core::recipe::At;
use code_core::{Expr, Result};

/// The text, with each `${NAME.OUTPUT}` that names another component of the spec as a reference to its output. Any
/// other `${…}` is the text's own; `$${NAME.OUTPUT}` is `${NAME.OUTPUT}` as it stands.
pub(super) fn text(at: &At<'_>, text: &str) -> Result<Expr> {
    let mut parts: Vec<Expr> = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        plain.push_str(&rest[..start]);
        let inner = &rest[start + 2..];
        let Some((end, reference)) = inner.find('}').and_then(|end| Some((end, output(at, &inner[..end])?)))
        else {
            plain.push_str("${");
            rest = inner;
            continue;
        };
        if plain.ends_with('$') {
            plain.push_str(&rest[start + 1..=start + 2 + end]);
        } else {
            parts.extend((!plain.is_empty()).then(|| std::mem::take(&mut plain).into()));
            parts.push(reference?);
        }
        rest = &inner[end + 1..];
    }
    plain.push_str(rest);
    if parts.is_empty() {
        return Ok(plain.into());
    }
    parts.extend((!plain.is_empty()).then(|| plain.into()));
    Ok(Expr::Text(parts))
}

fn output(at: &At<'_>, inner: &str) -> Option<Result<Expr>> {
    let (name, output) = inner.split_once('.')?;
    let other = at.spec.component(name).filter(|other| other.name != at.component.name)?;
    let good = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let is_name = !output.is_empty() && output.chars().all(good);
    is_name.then(|| At::endpoint(&other.name).map(|address| Expr::output(&address, output)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use code_core::intent::Kind;
    use code_core::spec::{Component, Spec};
    use code_core::status::Inventory;

    use super::*;

    #[test]
    fn only_outputs_of_other_components_are_references() {
        let mut spec = Spec::new("shop", "staging");
        spec.components = vec![Component::new("web", Kind::Web), Component::new("infra", Kind::Network)];
        let inventory = Inventory::default();
        let component = &spec.components[0];
        let at =
            At { spec: &spec, component, revision: 1, inventory: &inventory, state_dir: Path::new("/s") };
        let infra = Expr::output(&At::endpoint("infra").unwrap(), "a_b");
        let check = |said: &str, expect: Expr| assert_eq!(text(&at, said).unwrap(), expect, "{said}");
        check("${infra.a_b}", Expr::Text(vec![infra.clone()]));
        check("x ${infra.a_b}/y", Expr::Text(vec!["x ".into(), infra, "/y".into()]));
        for plain in
            ["", "a", "${HOME}", "${web.url}", "${other.x}", "${infra.}", "${infra.a b}", "${infra.x", "$"]
        {
            check(plain, plain.into());
        }
        check("$${infra.a_b} $${HOME}", "${infra.a_b} $${HOME}".into());
    }
}
