# METADATA
# title: No secret in plain text
# description: a spec and a plan are shown, logged, committed and kept for ever, and so is every secret that is written in them
# scope: package
# custom:
#   id: secrets.no-plaintext
#   severity: critical
#   looks_at: [spec, plan]
#   help: take the value out, and change it where it is valid, for whoever read the file knows it; a database's password and URL are generated and handed over (`DATABASE_URL`), others belong in the environment's own store
package code.secrets.no_plaintext

import data.code.lib
import rego.v1

findings contains finding if {
	some i, component in input.spec.components
	count(places(i, component)) == 0
	finding := lib.pass(lib.component_at(i), sprintf("no secret is written in `%s`", [component.name]))
}

findings contains finding if {
	some i, component in input.spec.components
	some place in places(i, component)
	finding := lib.fail(place.at, sprintf("`%s` holds %s", [component.name, place.reason]))
}

findings contains finding if {
	some step in input.plan.steps
	some place in wanted(step)
	finding := lib.fail(place.at, sprintf("a step wants %s", [place.reason]))
}

findings contains lib.pass("/steps", "no secret is written in the plan") if {
	is_array(input.plan.steps)
	count({place | some step in input.plan.steps; some place in wanted(step)}) == 0
}

# Each place of a component that holds a secret, and what gives it away.
places(i, component) := from_env | from_words if {
	from_env := {place |
		some name, value in object.get(component, "env", {})
		some reason in reasons(name, value)
		place := {"at": sprintf("/components/%v/env/%s", [i, name]), "reason": reason}
	}
	from_words := {place |
		some field in ["build", "health", "image", "source", "start"]
		some word in words(object.get(component, field, null))
		some reason in reasons("", word)
		place := {"at": lib.value_at(i, field), "reason": reason}
	}
}

# The same for the values that a step wants. A secret by its name has no `known` part, and is fine.
wanted(step) := {place |
	some name, expr in object.get(step.change.resource, "want", {})
	some value in known(expr)
	some reason in reasons(trim_prefix(name, "env."), value)
	place := {"at": step.change.resource.address, "reason": sprintf("%s in `%s`", [reason, name])}
} if {
	step.change.resource.want != null
} else := set()

known(expr) := words(expr.known) if {
	expr.known
} else := {word | some part in expr.text; some word in words(part.known)}

words(value) := {value} if {
	is_string(value)
} else := {word | some word in value; is_string(word)} if {
	is_array(value)
} else := {word | some word in value; is_string(word)} if {
	is_object(value)
} else := set()

# What gives a value away: its shape, or the name that it has.
reasons(name, value) := {reason | some shape, reason in shapes; regex.match(shape, value)} if {
	regex.match(any_shape, value)
} else := {sprintf("a literal value in `%s`", [name])} if {
	secret_name(upper(name))
	not harmless(value)
} else := set()

shapes := {
	`-----BEGIN [A-Z ]*PRIVATE KEY-----`: "a private key",
	`[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s:@]*:[^/?#\s@]+@`: "a URL with a password",
	`(^|[^A-Z0-9])(AKIA|ASIA)[A-Z0-9]{16}($|[^A-Z0-9])`: "an AWS access key",
	`gh[pousr]_[A-Za-z0-9]{36}`: "a GitHub token",
	`github_pat_[A-Za-z0-9_]{22}`: "a GitHub token",
	`glpat-[A-Za-z0-9_-]{20}`: "a GitLab token",
	`xox[abeoprs]-[A-Za-z0-9-]{10}`: "a Slack token",
	`hooks\.slack\.com/services/T[A-Za-z0-9_]+/B[A-Za-z0-9_]+/`: "a Slack webhook",
	`[rs]k_live_[A-Za-z0-9]{20}`: "a Stripe key",
	`AIza[A-Za-z0-9_-]{35}`: "a Google API key",
	`(^|[^A-Za-z0-9])sk-[A-Za-z0-9_-]{20}`: "an API key",
	`npm_[A-Za-z0-9]{36}`: "an npm token",
	`^-{1,2}[A-Za-z_-]*([Pp]assword|[Pp]asswd|[Ss]ecret|[Tt]oken|[Aa][Pp][Ii][-_]?[Kk]ey)=.`: "a password on a command line",
	`eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.`: "a signed token (JWT)",
}

# All of them at once: nearly every value has none of these shapes.
any_shape := concat("|", [sprintf("(%s)", [shape]) | some shape, _ in shapes])

# Names whose value is a secret: `DB_PASSWORD`, `SECRET_KEY_BASE`, `GITHUB_TOKEN`, `API_KEY`.
secret_name(name) if {
	regex.match(`PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL|APIKEY|(^|_)PASS$|_PWD$|TOKEN($|_)|(^|_)KEY$`, name)
	not about(name)
}

# Names that say something of a secret, and are none: `TOKEN_TTL`, `PASSWORD_MIN_LENGTH`, `SECRET_FILE`.
about(name) if {
	regex.match(`_(ALGORITHM|AUDIENCE|COUNT|DIR|ENABLED|ENDPOINT|EXPIRES|EXPIRY|FILE|HEADER|ID|ISSUER|LENGTH|LIFETIME|LIMIT|MAX|MIN|NAME|PATH|POLICY|PREFIX|PROVIDER|REQUIRED|SECONDS|STORE|TIMEOUT|TTL|TYPE|URI|URL|VERSION)$`, name)
}

about(name) if regex.match(`(^|_)(PUBLIC|CACHE|SORT|PARTITION|PRIMARY|FOREIGN|ROUTING|IDEMPOTENCY|SITE)_KEY$`, name)

# Nothing, a switch, or the name of another variable.
harmless(value) if lower(value) in {"", "false", "no", "none", "null", "off", "on", "true", "yes"}

harmless(value) if regex.match(`^\$(\{[A-Za-z_][A-Za-z0-9_]*\}|[A-Za-z_][A-Za-z0-9_]*)$`, value)
