"""Recipes: one file for each library or framework. `docs/recipes.md` shows them, `tests/examples` runs them."""
