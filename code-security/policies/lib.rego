# What the rules share: the three answers, and how places are written.
package code.lib

import rego.v1

pass(at, message) := {"verdict": "pass", "at": at, "message": message}

unknown(at, message) := {"verdict": "unknown", "at": at, "message": message}

fail(at, message) := {"verdict": "fail", "at": at, "message": message}

# The JSON pointer of a component in the spec, and of a value in it.
component_at(i) := sprintf("/components/%v", [i])

value_at(i, name) := sprintf("/components/%v/%s", [i, name])

# The component that an address belongs to.
component_of(address) := split(address, "/")[0]

# Actions that take something away.
destructive := {"replace", "delete"}
