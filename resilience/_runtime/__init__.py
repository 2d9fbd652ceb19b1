"""The policy protocol, and what carries out the decisions of policies: runners, decorating, fast path, time limits."""
