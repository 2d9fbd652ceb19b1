"""The scripts here are run by executors, in processes of their own: nobody else may import them."""

collect_ignore_glob = ["*.py"]
