"""Execute code in a Jupyter kernel: one that is started here, one that runs already, or one of a Jupyter server."""

from resilience.execution._jupyter.executor import JupyterExecutor

__all__ = ["JupyterExecutor"]
