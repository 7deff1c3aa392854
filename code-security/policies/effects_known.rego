# METADATA
# title: What a step takes away is known
# description: a tool that cannot say yet what it will take away may take away anything; what is not known is not approved by mistake
# scope: package
# custom:
#   id: effects.known
#   severity: high
#   looks_at: [plan]
#   help: look at what the step may do at most; if that is right, accept it by its id, and it is judged again when it is known
package code.effects.known

import data.code.lib
import rego.v1

findings contains finding if {
	some step in input.plan.steps
	finding := judge(step)
}

findings contains lib.pass("/steps", "the plan changes nothing") if {
	count(input.plan.steps) == 0
}

judge(step) := lib.pass(
	step.change.resource.address,
	sprintf("touches exactly %v", [count(step.change.effects.exact)]),
) if {
	is_array(step.change.effects.exact)
} else := lib.pass(step.change.resource.address, message) if {
	# The run holds the step to this bound, and it is judged again when its turn has come.
	open := step.change.effects.open
	open.at_most in {"keep", "create", "update"}
	message := sprintf("takes nothing away, and is judged again when it is known: %s", [open.why])
} else := lib.unknown(step.change.resource.address, message) if {
	open := step.change.effects.open
	message := sprintf("cannot say yet what it touches, at most %s: %s", [open.at_most, open.why])
} else := lib.unknown(step.change.resource.address, "does not say what it touches")
