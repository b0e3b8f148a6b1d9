"""Serves Keystone, as its package has it, with the standard library's server: enough for tests, and no program more.

Arguments: address, port; then, for TLS, the files of certificate and key. OS_KEYSTONE_CONFIG_FILES names the configuration.
"""

import socketserver
import ssl
import sys
from wsgiref import simple_server

from keystone.server.wsgi import initialize_public_application


class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    """A thread for each connection: a client that keeps one open keeps nobody else waiting."""

    daemon_threads = True
    request_queue_size = 64


class Handler(simple_server.WSGIRequestHandler):
    def address_string(self):
        # Without a look-up of the client's name, for which there is no server in a lab.
        return self.client_address[0]


def main(address, port, certificate=None, key=None):
    server = simple_server.make_server(address, int(port), initialize_public_application(), Server, Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        # The handshake is the connection's thread's, at its first read.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.base_environ["HTTPS"] = "on"
    server.serve_forever()


# Keystone would take the arguments for its own.
arguments, sys.argv[1:] = sys.argv[1:], []
main(*arguments)
