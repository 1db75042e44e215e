"""A server of one model: MLflow's scoring server, which also takes images, and a page for trying the model.

_posted.py       the images in the body of a request
_source.py       which requests are refused because of where they come from
_application.py  the ASGI application around MLflow's
_page.py         the page at `/`
_server.py       listening, and running uvicorn until a signal
"""

from zoo.serving._application import application
from zoo.serving._server import address, listen, run
from zoo.serving._source import is_loopback
