"""Many calls at once, and what each of them came to."""

from resilience.gathering.calls import gather_results, gather_results_async
from resilience.gathering.results import CallResult, GatheredResults

__all__ = ["CallResult", "GatheredResults", "gather_results", "gather_results_async"]
