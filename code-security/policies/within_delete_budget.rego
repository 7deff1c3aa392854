# METADATA
# title: Deletes within the budget
# description: a renamed variable or a wrong directory can make a tool delete everything and make it anew; a small budget stops that before the first one is gone
# scope: package
# custom:
#   id: deletes.within-budget
#   severity: high
#   looks_at: [plan]
#   help: read what the plan takes away; if all of it is meant, raise `delete_budget` in code.toml, or do it in several steps
package code.deletes.within_budget

import data.code.lib
import rego.v1

# What a component can be given again without a loss, as long as the component stays.
remade := {"process", "release", "route"}

stay := {component.name | some component in input.plan.spec.components}

counts(step) if not step.change.resource.kind in remade

counts(step) if not lib.component_of(step.change.resource.address) in stay

taken(step) := {effect.name |
	some effect in step.change.effects.exact
	effect.action in lib.destructive
}

# Each thing inside a resource is one, and so is a resource that names nothing inside.
lost contains thing if {
	some step in input.plan.steps
	counts(step)
	some name in taken(step)
	thing := [step.change.resource.address, name]
}

lost contains thing if {
	some step in input.plan.steps
	counts(step)
	step.change.action in lib.destructive
	step.change.effects.exact
	count(taken(step)) == 0
	thing := [step.change.resource.address, ""]
}

open contains step.change.resource.address if {
	some step in input.plan.steps
	counts(step)
	step.change.effects.open.at_most in lib.destructive
}

unreadable contains step.id if {
	some step in input.plan.steps
	not step.change.effects.exact
	not step.change.effects.open
}

# What goes, by name.
named contains at if {
	some [at, name] in lost
	not processes[at]
	name in {"", at}
}

named contains sprintf("%s in %s", [name, at]) if {
	some [at, name] in lost
	not processes[at]
	not name in {"", at}
}

named contains sprintf("the processes of %s", [lib.component_of(at)]) if some at in processes

amount := count(named)

# The plan itself lists all of it: what is said of it can be read at one glance.
shown := 10

names := concat(", ", sort(named)) if {
	amount <= shown
} else := sprintf("%s and %v more", [concat(", ", array.slice(sort(named), 0, shown)), amount - shown])

# The processes of a component are one thing, however many there are.
processes contains step.change.resource.address if {
	some step in input.plan.steps
	step.change.resource.kind == "process"
	counts(step)
	step.change.action in lib.destructive
}

findings contains verdict

verdict := lib.unknown("/delete_budget", "the plan does not say what its steps are") if {
	not is_array(input.plan.steps)
} else := lib.fail("/delete_budget", sprintf("the plan takes away %v things, and may take away %v: %s", [amount, input.plan.delete_budget, names])) if {
	amount > input.plan.delete_budget
} else := lib.unknown("/delete_budget", sprintf("how much goes is not known yet: %s", [concat(", ", sort(open))])) if {
	count(open) > 0
} else := lib.unknown("/delete_budget", "the plan does not say what its steps touch") if {
	count(unreadable) > 0
} else := lib.pass("/delete_budget", sprintf("the plan takes away %v of at most %v things", [amount, input.plan.delete_budget])) if {
	amount <= input.plan.delete_budget
} else := lib.unknown("/delete_budget", "the plan has no delete budget")
