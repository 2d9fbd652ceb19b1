"""Instructions of a guarded call beside those of its reference: a check that a busy machine cannot fail."""
