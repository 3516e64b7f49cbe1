"""A TCP port in front of a Unix socket: the embedded PostgreSQL listens on a socket alone, and JDBC knows none."""

import socket
import threading
from contextlib import suppress

__all__ = ["open_door"]


def open_door(path: str) -> int:
    """Serve the socket at `path` on a free port of this machine until the process ends; the port."""
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_serve, args=(server, path), daemon=True).start()
    return int(server.getsockname()[1])


def _serve(server: socket.socket, path: str) -> None:
    while True:
        client, _ = server.accept()
        inner = socket.socket(socket.AF_UNIX)
        inner.connect(path)
        for source, sink in ((client, inner), (inner, client)):
            threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
