"""Servers that misbehave on purpose, for agent_client.py: one that never answers, and a relay that loses an answer."""

import socket
import threading
import time
from urllib.parse import urlsplit

PATIENCE = 60


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def within(what, ask):
    """What is asked for, as soon as it is there."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        answer = ask()
        if answer is not None:
            return answer
        time.sleep(0.05)
    raise TimeoutError(f"waited in vain for {what}")


class Server:
    """Accepts connections, each served by a thread, until the block ends; then all are closed."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.open = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        for connection in [self.listener, *self.open]:
            close(connection)

    @property
    def port(self):
        return self.listener.getsockname()[1]

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.open.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()


class Tarpit(Server):
    """An image server that takes a request and says nothing, until it hangs up."""

    def __init__(self):
        self.asked = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/x"

    def until_asked(self):
        if not self.asked.wait(PATIENCE):
            raise TimeoutError("nobody asked for the image")

    def serve(self, connection):
        if received(connection):
            self.asked.set()


class Proxy(Server):
    """A relay to the agent. It understands nothing of what goes through it."""

    def __init__(self, url):
        self.target = (urlsplit(url).hostname, urlsplit(url).port)
        self.losing = False
        self.lost = 0

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def lose_the_next_answer(self):
        self.losing = True

    def serve(self, client):
        agent = socket.create_connection(self.target)
        self.open.append(agent)
        threading.Thread(target=self._answers, args=(agent, client), daemon=True).start()
        while data := received(client):
            agent.sendall(data)
        close(agent)

    def _answers(self, agent, client):
        while data := received(agent):
            if self.losing:
                # The agent has taken the request: it answers.
                self.losing = False
                self.lost += 1
                break
            client.sendall(data)
        close(client)


def received(connection):
    try:
        return connection.recv(65536)
    except OSError:
        return b""


def close(connection):
    # What is closed already is as we want it.
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
