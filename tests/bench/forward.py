# SPDX-License-Identifier: Apache-2.0
"""A TCP forwarder that counts what a server sends: how many bytes a build moved."""
import socket, threading


class Forwarder:
    """Listens on a port of its own while in a `with`; `received` is what came from `target`."""

    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        self.target, self.received, self.sent = (host, int(port)), 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            threading.Thread(target=self._copy, args=(client, server, "sent"), daemon=True).start()
            threading.Thread(target=self._copy, args=(server, client, "received"), daemon=True).start()

    def _copy(self, source, target, counter):
        try:
            while data := source.recv(1 << 16):
                setattr(self, counter, getattr(self, counter) + len(data))
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
