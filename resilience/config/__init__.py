"""Policies by configuration: files, the environment and the running program say what guards a dependency.

`Policies` reads a ``resilience.toml`` or the table ``[tool.resilience]`` of a ``pyproject.toml``, and makes the
policies that it names. They guard functions as those do that are written in code. `Policies.reload` puts changed ones
in their place between two calls, and keeps the state of circuits, budgets and limits.

* ``_kinds``: the kinds of values an option may have, and how each is read from a file or a text;
* ``_sections``: the policies that can be configured, and what makes each of its options;
* ``_sources``: where values come from, and which of them wins;
* ``_plan``: the policies of one name, made of their options;
* ``_managed``: what guards functions, and gives them the next plan;
* ``_routes``, ``_schema``, ``_watching``: requests to names, a JSON Schema for editors, and files that change.
"""

from resilience.config._managed import ConfiguredPolicies
from resilience.config._policies import Change, Policies
from resilience.config._sources import ConfigurationError
from resilience.config._watching import Watch

__all__ = ["Change", "ConfigurationError", "ConfiguredPolicies", "Policies", "Watch"]
