"""An admin page for a running program: the state of circuits and limits, why, and a hand on them.

`admin` returns an application for ASGI and WSGI servers. Mount it in the service whose circuits it shows::

    app.mount("/resilience", admin(token=os.environ["ADMIN_TOKEN"]))

* ``_service``: requests and their answers, without a server;
* ``_actions``: what is done to circuits by hand, for a time, with an author and a reason;
* ``_journal``: the last events, and those that come while a page is open;
* ``_application``: the faces that ASGI and WSGI servers call;
* ``page.html``: the page, on those answers.
"""

from resilience.admin._application import AdminApplication, admin

__all__ = ["AdminApplication", "admin"]
