"""Policies by configuration: files, the environment and the running program say what guards a dependency.

`Policies` reads a ``resilience.toml`` or the table ``[tool.resilience]`` of a ``pyproject.toml``, and makes the
policies that it names. They guard functions as those do that are written in code. `Policies.reload` puts changed ones
in their place between two calls, and keeps the state of circuits, budgets and limits.

A value goes through the modules in this order:

* ``_kinds``: the kinds of values an option may have, and how each is read from a file or a text;
* ``_sections``: the policies that can be configured, and what makes each of its options;
* ``_sources``: where values come from, and which of them wins;
* ``_plan``: the policies of one name, made of their options;
* ``_managed``: what guards functions, and gives them the next plan;
* ``_policies``: `Policies`, which owns all of it and applies a configuration as a whole or not at all;
* ``_routes``, ``_routed_clients``: requests of a client to names of policies;
* ``_schema``, ``_watching``, ``openfeature``: a JSON Schema for editors, files that change, feature flags.

A call of a guarded function runs none of this: the function has plain policies, and a reload exchanges them. Only a
guarded client looks up the route of each request.
"""

from resilience.config._managed import ConfiguredPolicies
from resilience.config._policies import Change, Policies
from resilience.config._sources import ConfigurationError
from resilience.config._watching import Watch

__all__ = ["Change", "ConfigurationError", "ConfiguredPolicies", "Policies", "Watch"]
