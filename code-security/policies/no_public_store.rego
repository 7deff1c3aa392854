# METADATA
# title: No public database, cache or queue
# description: a store that the internet can reach is found by scanners within minutes, and then its password is all that is left
# scope: package
# custom:
#   id: network.no-public-store
#   severity: critical
#   looks_at: [spec]
#   help: take `public` off, and let only the components that need it reach it (`depends_on`)
package code.network.no_public_store

import data.code.lib
import rego.v1

stores := {"cache", "database", "queue", "search"}

findings contains finding if {
	some i, component in input.spec.components
	component.kind in stores
	finding := judge(i, component)
}

findings contains lib.pass("/components", "there is no database, cache or queue") if {
	every component in input.spec.components {
		not component.kind in stores
	}
}

judge(i, component) := lib.fail(
	lib.value_at(i, "public"),
	sprintf("the %s `%s` is reachable from outside", [component.kind, component.name]),
) if {
	component.public == true
} else := lib.pass(
	lib.value_at(i, "public"),
	sprintf("the %s `%s` is not reachable from outside", [component.kind, component.name]),
) if {
	component.public == false
} else := lib.unknown(
	lib.value_at(i, "public"),
	"the spec does not say whether it is reachable from outside",
)
