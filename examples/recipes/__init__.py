"""Recipes: one file for each library or framework. `docs/reference/recipes.md` shows them, `tests/examples` runs them."""
