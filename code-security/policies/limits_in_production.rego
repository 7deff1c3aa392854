# METADATA
# title: Limits on what code may use in production
# description: one process without a limit can take the memory of all its neighbours, and the system then ends whichever it likes
# scope: package
# custom:
#   id: resources.limits-in-production
#   severity: high
#   looks_at: [spec]
#   help: say how much each may use, for example `with 512Mi memory and 0.5 cpu`, or set `memory` and `cpu`
package code.resources.limits_in_production

import data.code.lib
import rego.v1

# Components that run somebody's code.
runs_code := {"api", "cron", "function", "job", "web", "worker"}

production if regex.match(`^(prod|production|live)(-.*)?$`, input.spec.environment)

production if input.spec.protected == true

findings contains finding if {
	production
	some i, component in input.spec.components
	component.kind in runs_code
	finding := judge(i, component)
}

findings contains lib.pass("/environment", sprintf("`%s` is not production", [input.spec.environment])) if {
	not production
}

findings contains lib.pass("/components", "nothing here runs code of its own") if {
	production
	every component in input.spec.components {
		not component.kind in runs_code
	}
}

judge(i, component) := lib.pass(
	lib.component_at(i),
	sprintf("`%s` has limits on memory and cpu", [component.name]),
) if {
	count(missing(component)) == 0
} else := object.union(
	lib.fail(
		lib.component_at(i),
		sprintf("`%s` has no limit on %s", [component.name, concat(" and ", missing(component))]),
	),
	{"severity": severity},
)

missing(component) := [name |
	some name in ["memory", "cpu"]
	object.get(component, name, null) == null
]

# One's own machine cannot hold every program to a limit, and is nobody else's: there it is shown and does
# not close the gate.
default severity := "high"

severity := "medium" if input.spec.target.platform == "local"
