"""One file for each client library that the toolkit knows, named like the library's top-level module.

A file holds one `ClientLibrary` called ``LIBRARY``: what each exception class means, which ones prove that nothing was
sent, and where a prior request of the same call would show. `resilience.classification.libraries` imports the file
when the first exception of that library is met. No file imports its library: classes are recognised by the names of
their module and of themselves, so a library need not be installed and costs nothing where it is not used.

The tables are written from the source and the documentation of the libraries, and
``tests/classification/test_client_tables.py`` holds them against the installed versions.
"""
