"""Recipes: one file for each library or framework. `docs/reference/recipes.md` has them, `tests/examples` runs them."""
