"""A real mail server and a real web server on loopback, for tests of notifications."""

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller


@dataclass
class Mailbox:
    """The accepted mails of a server, and the refused addresses with their responses."""

    port: int = 0
    taken: list = field(default_factory=list)
    refused: dict = field(default_factory=dict)
    raw: list = field(default_factory=list)
    arrival: threading.Condition = field(default_factory=threading.Condition)

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.raw.append(envelope.content)
        with self.arrival:
            mail = message_from_bytes(envelope.content, policy=default)
            self.taken.append((envelope.rcpt_tos, mail))
            self.arrival.notify_all()
        return "250 taken"

    def to(self, address):
        """Return the mails to an address."""
        return [mail for addresses, mail in self.taken if address in addresses]

    def wait_for_mail(self, address, count=1):
        """Wait until an address has this many mails, and return the last one."""
        with self.arrival:
            assert self.arrival.wait_for(lambda: len(self.to(address)) >= count, timeout=60)
        return self.to(address)[-1]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as unused_socket:
        return unused_socket.getsockname()[1]


@contextlib.contextmanager
def mail_server(refused=(), **how):
    """Run a mail server and yield its mailbox. `how` are options of aiosmtpd."""
    box = Mailbox(free_port(), refused=dict(refused))
    controller = Controller(box, hostname="127.0.0.1", port=box.port, **how)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


@contextlib.contextmanager
def web_server(answers=()):
    """Run a web server. Yield its address and a list of (method, path, body) of each request.

    `answers` are the statuses of the first responses. Later ones are 200.
    """
    asked, waiting = [], list(answers)

    class RecordingHandler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append((self.command, self.path, body.decode()))
            self.send_response(waiting.pop(0) if waiting else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_):
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), RecordingHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
