# METADATA
# title: Protected environments need another person
# description: whoever asks for a change is the one who cannot see what is wrong with it; in a protected environment a second person reads the plan first
# scope: package
# custom:
#   id: approval.other-person
#   severity: critical
#   looks_at: [spec, plan]
#   help: save the plan with `--out FILE`, and have another user of this machine run `approve FILE`
package code.approval.other_person

import data.code.lib
import rego.v1

findings contains spec_answer if input.subject == "spec"

findings contains plan_answer if input.subject == "plan"

spec_answer := answer(input.spec.protected) if {
	is_boolean(input.spec.protected)
} else := lib.unknown("/protected", "the spec does not say whether the environment is protected")

plan_answer := lib.fail("/protected", "the environment is protected, and the plan does not say so") if {
	input.plan.spec.protected == true
	not input.plan.protected == true
} else := answer(input.plan.protected) if {
	is_boolean(input.plan.protected)
} else := lib.unknown("/protected", "the plan does not say whether the environment is protected")

# The approval itself is checked when the run begins: no scanner sees one, and no unknown is accepted here.
answer(true) := lib.pass("/protected", "a run begins only with the approval of another person")

answer(false) := lib.pass("/protected", "the environment is not protected")
