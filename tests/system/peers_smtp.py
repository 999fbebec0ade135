# SPDX-License-Identifier: ISC
"""A raw SMTP client: it sends exactly the bytes that a test names.

smtplib mends line ends and quotes dots on its own, which hides the very
things that our tests are about.
"""

import re
import socket

from peers_common import patient


class Reply:
    """One reply: code, its lines without code, enhanced status or None."""

    def __init__(self, code, lines):
        self.code = code
        self.lines = lines
        found = re.match(r"[245]\.\d{1,3}\.\d{1,3}(?=\s|$)", lines[-1])
        self.status = found.group(0) if found else None

    def __repr__(self):
        return f"<Reply {self.code} {' / '.join(self.lines)}>"


class Refused(Exception):
    """A command of a whole transaction was not answered as hoped."""

    def __init__(self, step, reply):
        super().__init__(f"{step}: {reply}")
        self.step = step
        self.reply = reply


def stuff(content):
    """Content as it follows DATA: dots doubled, and the final dot line."""
    if content and not content.endswith(b"\r\n"):
        raise ValueError("content for DATA must end in CR LF")
    if content.startswith(b"."):
        content = b"." + content
    return content.replace(b"\r\n.", b"\r\n..") + b".\r\n"


class Smtp:
    """A connection to (address, port), or to a UNIX socket by its path."""

    def __init__(self, port=None, address="127.0.0.1", path=None,
                 timeout=30, source=None):
        timeout = patient(timeout)
        if path is not None:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(timeout)
            self.sock.connect(path)
        else:
            self.sock = socket.create_connection(
                (address, port), timeout,
                (source, 0) if source is not None else None)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.sock.makefile("rb")
        self.extensions = {}
        self.greeting = self.reply()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._file.close()
        self.sock.close()

    def send_raw(self, data):
        self.sock.sendall(data)

    def reply(self):
        """The next reply; ConnectionError when the server hung up."""
        lines = []
        while True:
            line = self._file.readline()
            if not line.endswith(b"\n"):
                raise ConnectionError(f"connection closed after {lines}")
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            lines.append(text[4:])
            if text[3:4] != "-":
                return Reply(int(text[:3]), lines)

    def cmd(self, line):
        """Send one command line (CR LF is added) and return its reply."""
        if isinstance(line, str):
            line = line.encode("utf-8")
        self.send_raw(line + b"\r\n")
        return self.reply()

    def ehlo(self, name="client.example"):
        """EHLO; self.extensions then maps KEYWORD to its parameters."""
        reply = self.cmd("EHLO " + name)
        self.extensions = {}
        for line in reply.lines[1:]:
            word, _, rest = line.partition(" ")
            self.extensions[word.upper()] = rest
        return reply

    def mail(self, sender, params=""):
        return self.cmd(f"MAIL FROM:<{sender}> {params}".rstrip())

    def rcpt(self, recipient, params=""):
        return self.cmd(f"RCPT TO:<{recipient}> {params}".rstrip())

    def data_raw(self, data):
        """DATA, and after 354 these bytes as they are."""
        reply = self.cmd("DATA")
        if reply.code != 354:
            return reply
        self.send_raw(data)
        return self.reply()

    def data(self, content):
        """DATA with content (which ends in CR LF) dot-stuffed."""
        return self.data_raw(stuff(content))

    def bdat(self, chunk, last=True):
        self.send_raw(b"BDAT %d%s\r\n" % (len(chunk),
                                          b" LAST" if last else b"") + chunk)
        return self.reply()

    def quit(self):
        reply = self.cmd("QUIT")
        self.close()
        return reply

    def transaction(self, sender, recipients, content, how="data",
                    mail_params="", rcpt_params=""):
        """A whole transaction; raises Refused at the first bad reply."""
        self._want("MAIL", self.mail(sender, mail_params))
        for recipient in recipients:
            self._want("RCPT", self.rcpt(recipient, rcpt_params))
        if how == "bdat":
            return self._want("BDAT", self.bdat(content))
        return self._want("DATA", self.data(content))

    @staticmethod
    def _want(step, reply):
        if reply.code // 100 != 2:
            raise Refused(step, reply)
        return reply


def submit(port, sender, recipients, content, how="data", address="127.0.0.1",
           mail_params="", rcpt_params=""):
    """Connect, EHLO, one transaction, QUIT; the reply to the content."""
    with Smtp(port, address) as smtp:
        smtp.ehlo()
        reply = smtp.transaction(sender, recipients, content, how,
                                 mail_params, rcpt_params)
        smtp.quit()
        return reply
