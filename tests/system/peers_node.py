# SPDX-License-Identifier: ISC
"""A node of our own: its configuration, its daemon and its command line."""

import json
import os
import re
import signal
import subprocess

from peers_common import (Processes, answers, free_port, patient, program,
                          read_maildir, read_text, wait_for)
from peers_smtp import Smtp, submit

# Command words that are followed by another one.
GROUPS = ("queue", "spool")

SANITIZERS = re.compile(r"runtime error: |(Address|Leak)Sanitizer")


class Node:
    """One site on 127.0.0.1:port.

    directory   below which the node keeps everything
    site        its name; domains: its own, by default SITE.example
    users       the only local parts it takes; any when empty
    config      the whole text of the configuration; without it
                `postrider init` writes one; see write_config()
    env         more environment for the daemon and the command line
    """

    def __init__(self, directory, site, domains=None, users=(), config=None,
                 port=None, address="127.0.0.1", env=None):
        self.directory = str(directory)
        self.site = site
        self.domains = list(domains) if domains else [f"{site}.example"]
        self.users = list(users)
        self.address = address
        self.port = port or free_port(address)
        self.mail = os.path.join(self.directory, "mail")
        self.conf = os.path.join(self.directory, "postrider.conf")
        self.stderr = os.path.join(self.directory, "stderr")
        self.env = {**os.environ, "TZ": "UTC", **(env or {})}
        self._processes = Processes()
        self.daemon = None
        os.makedirs(self.directory, exist_ok=True)
        if config is None:
            self._init()
        else:
            self.write_config(config)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.kill()

    def _listen(self):
        if ":" in self.address:
            return f"[{self.address}]:{self.port}"
        return f"{self.address}:{self.port}"

    def _init(self):
        argv = [program("postrider"), "init", "--dir", self.directory,
                "--site", self.site, "--listen", self._listen(),
                "--deliver", "maildir:" + self.mail]
        for domain in self.domains:
            argv += ["--domain", domain]
        for user in self.users:
            argv += ["--user", user]
        done = subprocess.run(argv, env=self.env, capture_output=True,
                              text=True, check=False,
                              stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(argv)}: exit "
                                 f"{done.returncode}: {done.stderr}")

    def read_config(self):
        with open(self.conf, encoding="utf-8") as file:
            return file.read()

    def write_config(self, text):
        """Replace the configuration; @dir@ @site@ @address@ @port@ @mail@
        @conf@ in text stand for this node's own."""
        for word in ("dir", "site", "address", "port", "mail", "conf"):
            value = self.directory if word == "dir" else getattr(self, word)
            text = text.replace(f"@{word}@", str(value))
        with open(self.conf, "w", encoding="utf-8") as file:
            file.write(text)

    def append_config(self, text):
        self.write_config(self.read_config().rstrip("\n") + "\n" + text)

    def edit_config(self, pattern, replacement):
        """re.sub in the configuration; the pattern must occur."""
        text, count = re.subn(pattern, replacement, self.read_config(),
                              flags=re.MULTILINE)
        if count == 0:
            raise AssertionError(f"{pattern} is not in {self.conf}:\n"
                                 + self.read_config())
        self.write_config(text)

    def start(self, timeout=30):
        """Start the daemon and wait until it greets."""
        self.daemon = self._processes.start(
            [program("postriderd"), "-f", "-c", self.conf], self.stderr,
            self.env)
        wait_for(self._ready, timeout,
                 lambda: f"{self.site} at {self.port}: {self.log()}")
        return self

    def _ready(self):
        if not self.daemon.running():
            raise AssertionError(f"{self.site}: postriderd ended with "
                                 f"{self.daemon.wait()}: {self.log()}")
        return answers(self.port, self.address)

    def stop(self, timeout=30):
        """SIGTERM; AssertionError unless it then exits with 0."""
        if self.daemon is None:
            return
        daemon, self.daemon = self.daemon, None
        code = daemon.stop(timeout)
        if code != 0:
            raise AssertionError(f"{self.site}: postriderd ended with {code}"
                                 f": {self.log()}")
        self.check_sanitizers()

    def kill(self):
        """SIGKILL to the daemon and its transports."""
        if self.daemon is not None:
            self.daemon.kill()
            self.daemon = None

    def restart(self):
        self.stop()
        self.start()

    def reload(self):
        self.daemon.signal(signal.SIGHUP)

    def running(self):
        return self.daemon is not None and self.daemon.running()

    def log(self):
        """What all its daemons so far wrote on standard error."""
        return read_text(self.stderr)

    def check_sanitizers(self):
        """AssertionError if a sanitizer spoke; kill() does not look."""
        found = SANITIZERS.search(self.log())
        if found:
            raise AssertionError(f"{self.site}: "
                                 + self.log()[found.start():])

    def wait_log(self, pattern, timeout=20):
        return wait_for(lambda: re.search(pattern, self.log(), re.MULTILINE),
                        timeout, lambda: f"{pattern} in: {self.log()}")

    def smtp(self, **more):
        return Smtp(self.port, self.address, **more)

    def submit(self, sender, recipients, content, how="data", **more):
        """Hand in one mail by SMTP; raises peers_smtp.Refused."""
        return submit(self.port, sender, recipients, content, how,
                      self.address, **more)

    def run(self, *args, data=b"", check=True, timeout=120):
        """postrider -c CONF ARGS; the result has bytes in stdout, stderr.

        With check an exit status other than 0 is an AssertionError.
        """
        done = subprocess.run([program("postrider"), "-c", self.conf,
                               *map(str, args)], input=data, env=self.env,
                              capture_output=True, check=False,
                              timeout=patient(timeout))
        if check and done.returncode != 0:
            raise AssertionError(
                f"postrider {args}: exit {done.returncode}: "
                f"{done.stderr.decode(errors='replace')}")
        return done

    def cli(self, *args, **more):
        """As run(), and returns standard output as text."""
        return self.run(*args, **more).stdout.decode("utf-8")

    def json(self, *args, **more):
        """postrider WORD [WORD] --json ARGS, parsed; when it prints several
        documents, one to a line, a list of them."""
        words = 2 if args[0] in GROUPS and len(args) > 1 else 1
        text = self.cli(*args[:words], "--json", *args[words:], **more)
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return [json.loads(line) for line in text.splitlines()]

    def maildir_path(self, user):
        return os.path.join(self.mail, user)

    def maildir(self, user):
        return read_maildir(self.maildir_path(user))

    def wait_mail(self, user, count=1, timeout=30):
        """Wait until a Maildir holds that many mails; their contents."""
        wait_for(lambda: len(self.maildir(user)) >= count, timeout,
                 lambda: f"{count} mails for {user} at {self.site} (there "
                 f"are {len(self.maildir(user))}): {self.log()[-4000:]}")
        return self.maildir(user)
