"""A server of one model: MLflow's scoring server, extended by images and a page to try the model.

_posted.py       the images in the body of a request
_source.py       the check that a request does not come from a page of another site
_application.py  the ASGI application, which contains MLflow's application
_page.py         the page at `/`
_server.py       the socket, and uvicorn until a signal
"""

from zoo.serving._application import application
from zoo.serving._server import address, listen, run
from zoo.serving._source import is_loopback
