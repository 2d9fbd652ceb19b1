"""How many instructions a guarded call takes, next to its reference: a guard that a busy machine cannot trip."""
