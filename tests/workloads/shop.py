# SPDX-License-Identifier: GPL-2.0-or-later
"""
A web application that remembers every visit: shop.py PORT. VISITS is the leak; the cache, and
the pages that it makes, are not.
"""
import functools
import json
import sys

from flask import Flask, request
from werkzeug.serving import WSGIRequestHandler, make_server

app = Flask("shop")
VISITS = []


@functools.lru_cache(maxsize=500)
def product(n):
    return {"id": n, "name": "product %d" % n, "words": [str(i) for i in range(200)]}


@app.route("/product/<int:n>")
def show(n):
    page = json.dumps(product(n))
    VISITS.append({"path": request.path, "agent": str(request.user_agent), "page": page})
    return page


class Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *args):
        pass


server = make_server("127.0.0.1", int(sys.argv[1]), app, request_handler=Handler)
print("ready", server.port, flush=True)
server.serve_forever()
