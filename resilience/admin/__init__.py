"""An admin page for a running program: the state of circuits and limits, why, and actions on them by hand.

`admin` returns an application for ASGI and WSGI servers. Mount it in the service whose circuits it shows::

    app.mount("/resilience", admin(token=os.environ["ADMIN_TOKEN"]))

* ``_messages``: a request and a response, as plain data;
* ``_service``: requests and their answers, without a server;
* ``_listing``, ``_loads``: the documents that are shown, as plain data;
* ``_actions``: what is done to circuits by hand, for a time, with an author and a reason;
* ``_journal``: the last events, and those that come while a page is open;
* ``_application``: what ASGI and WSGI servers call;
* ``page.html``: the page, on those answers.

It shows the process that answers. A server with several workers has circuits of its own in each, and any of them may
answer: the documents of states, counts and events have the ``pid``. Only circuits that a `Fleet` shares are the same in
all of them.

An admin application never shows an argument, a message of an exception, or a secret: the page may be open to more
people than the logs are.
"""

from resilience.admin._application import AdminApplication, admin

__all__ = ["AdminApplication", "admin"]
