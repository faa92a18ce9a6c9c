"""One end of a conversation in a network namespace: answers with the source it sees, or asks and reports the answers.

Run by `kernel_lab`: ``serve PORT… -- ADDRESS…`` writes a line when it listens; ``ask`` reads questions as JSON.
"""

import json
import selectors
import socket
import sys

TIMEOUT = 1.0  # seconds


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve(ports: list[int], addresses: list[str]) -> None:
    """Answer every datagram and every connection with the address it comes from."""
    waiting = selectors.DefaultSelector()
    for address in addresses:
        for port in ports:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                end = socket.socket(family_of(address), kind)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                end.bind((address, port))
                if kind == socket.SOCK_STREAM:
                    end.listen(64)
                waiting.register(end, selectors.EVENT_READ, kind)
    print("listening", flush=True)  # noqa: T201 - the signal to begin
    while True:
        for key, _ in waiting.select():
            end = key.fileobj
            assert isinstance(end, socket.socket)
            if key.data == socket.SOCK_DGRAM:
                _, peer = end.recvfrom(64)
                end.sendto(peer[0].encode(), peer)
            else:
                connection, peer = end.accept()
                connection.sendall(peer[0].encode())
                connection.close()


def ask(question: dict[str, str]) -> str:
    """Return the source that the other end sees, or the error."""
    kind = socket.SOCK_STREAM if question["protocol"] == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family_of(question["destination"]), kind) as end:
        end.settimeout(TIMEOUT)
        try:
            if question["mark"] != "0":
                end.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, int(question["mark"]))
            end.bind((question["source"], int(question["source_port"])))
            end.connect((question["destination"], int(question["port"])))
            if kind == socket.SOCK_DGRAM:
                end.send(b"who am I?")
            return end.recv(64).decode()
        except OSError as error:
            return f"error: {error}"


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        split = sys.argv.index("--")
        serve([int(port) for port in sys.argv[2:split]], sys.argv[split + 1 :])
    else:
        json.dump([ask(question) for question in json.load(sys.stdin)], sys.stdout)
