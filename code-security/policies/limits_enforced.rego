# METADATA
# title: Limits are enforced
# description: who sets a limit counts on it, and a limit that nobody enforces keeps no process from taking what its neighbours need
# scope: package
# custom:
#   id: resources.limits-enforced
#   severity: low
#   looks_at: [spec]
#   help: on your own machine let the system limit it, for example with `systemd-run --scope -p MemoryMax=512M` in its start command
package code.resources.limits_enforced

import data.code.lib
import rego.v1

findings contains finding if {
	some i, component in input.spec.components
	finding := judge(i, component)
}

judge(i, component) := lib.fail(
	lib.component_at(i),
	sprintf("%s of `%s` is written down, and the platform local does not enforce it", [concat(" and ", given(component)), component.name]),
) if {
	input.spec.target.platform == "local"
	count(given(component)) > 0
} else := lib.pass(
	lib.component_at(i),
	sprintf("`%s` has no limit that is not enforced", [component.name]),
)

given(component) := [name |
	some name in ["memory", "cpu"]
	object.get(component, name, null) != null
]
