# METADATA
# title: TLS where others can listen
# description: without TLS everybody between the user and the app reads and changes what passes, passwords and sessions included
# scope: package
# custom:
#   id: network.tls-when-public
#   severity: high
#   looks_at: [spec]
#   help: say `with TLS`, or set `tls` to true; where only this machine needs it, take `public` and the host off
package code.network.tls_when_public

import data.code.lib
import rego.v1

# A zone and a network answer no requests of their own.
silent := {"dns", "network"}

# Names that never leave the machine or its network (RFC 6761, RFC 6762, RFC 9476).
inner := {"internal", "local", "localhost", "test"}

findings contains finding if {
	some i, component in input.spec.components
	not component.kind in silent
	finding := judge(i, component)
}

findings contains lib.pass("/components", "nothing here answers requests") if {
	every component in input.spec.components {
		component.kind in silent
	}
}

judge(i, component) := lib.pass(
	lib.value_at(i, "tls"),
	sprintf("`%s` is encrypted in transit", [component.name]),
) if {
	component.tls == true
} else := lib.fail(
	lib.value_at(i, "tls"),
	sprintf("`%s` is public without TLS", [component.name]),
) if {
	component.public == true
} else := lib.fail(
	lib.value_at(i, "tls"),
	sprintf("`%s` has a public host name without TLS", [component.name]),
) if {
	public_name(component.host)
} else := lib.pass(
	lib.value_at(i, "tls"),
	sprintf("`%s` is not reachable from outside", [component.name]),
) if {
	component.public == false
} else := lib.unknown(
	lib.value_at(i, "tls"),
	"the spec does not say whether it is reachable from outside",
)

public_name(host) if {
	labels := split(lower(trim_right(host, ".")), ".")
	not labels[count(labels) - 1] in inner
}
