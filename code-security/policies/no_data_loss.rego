# METADATA
# title: Data goes only when that was asked for
# description: everything else can be made again; deleted data cannot, and no undo brings it back
# scope: package
# custom:
#   id: deletes.no-data-loss
#   severity: critical
#   looks_at: [plan]
#   help: keep the data (that is what happens by itself), or ask for its end expressly with `--delete-data`
package code.deletes.no_data_loss

import data.code.lib
import rego.v1

data_step(step) if endswith(step.change.resource.kind, ".data")

data_step(step) if endswith(step.change.resource.kind, ".database")

# What is kept when it is no longer wanted is data, whatever its kind is called.
data_step(step) if step.change.resource.on_delete == "retain"

takes(step) if step.change.action in lib.destructive

takes(step) if {
	some effect in step.change.effects.exact
	effect.action in lib.destructive
}

takes(step) if step.change.effects.open.at_most in lib.destructive

threatened contains step.change.resource.address if {
	some step in input.plan.steps
	data_step(step)
	takes(step)
}

findings contains finding if {
	some address in threatened
	finding := judge(address)
}

findings contains lib.pass("/steps", "no data is taken away") if {
	is_array(input.plan.steps)
	count(threatened) == 0
}

judge(address) := lib.pass(address, "this data goes, as was asked for") if {
	input.plan.delete_data == true
} else := lib.fail(address, "the plan takes data away, and nobody asked for that")
