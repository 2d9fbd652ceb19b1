"""The inverse of the classifier: real exceptions of a client library, made so that each is classified as one leaf.

* ``factory``: tries the sources in order, and hands out what the classifier takes for the leaf that was asked for;
* ``http``, ``models``, ``databases``, ``services``: the libraries whose errors carry a status or a code;
* ``tables``: any other library, from its table of the classifier;
* ``codes``: for each leaf the status, SQLSTATE, gRPC status, ... that servers send for it;
* ``detection``: the library that a function calls.
"""
