"""Diagnosis of faulty programs: our reports, tracebacks and peers; a reader that obeys, and a loop of generations.

``python -m benchmarks.diagnosis`` runs a corpus of faulty programs, each with the line that a person would write in its
place, and judges by rules what each tool says of the failure. `benchmarks.diagnosis.verdicts` has the rules.
"""
