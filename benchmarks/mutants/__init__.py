"""Mutation testing: each mutant is the package with one small mistake, which the tests should notice.

`mutations` finds the places where a mistake can be made, `coverage_map` which tests execute a line, and `trials` runs
these tests against a mutant.
"""
