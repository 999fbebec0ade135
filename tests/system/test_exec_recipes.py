# SPDX-License-Identifier: ISC
"""The examples of postrider-exec(8), as they stand there, with the programs
that they name.

Only what must differ on this machine is replaced: paths, the bucket's
address, the dialect and how often is called.  Programs are found by PATH, as
an account would have them; each is the one of build/peers.
"""

import getpass
import hashlib
import hmac
import http.server
import os
import re
import subprocess
import threading
import urllib.parse

import pytest

import native
import road
from peers_common import (PROJECT, free_port, patient, peers_program, program,
                          wait_for)
from peers_openssh import OpenSSH, script, unpacked
from test_transport_tcp import HELLO

EXAMPLES = "/usr/local/share/doc/postrider/examples/"
QUICK = "\tretry-min = 1s\n\tretry-max = 2s\n\tcall-min-interval = 1s\n}"
DIALECTS = {"native": "native", "rfc2442": "rfc2442\n\tcompress = gzip",
            "bsmtp": "bsmtp"}


def blocks(heading):
    """The literal displays below a heading of the page."""
    with open(os.path.join(PROJECT, "man/postrider-exec.8"),
              encoding="utf-8") as file:
        text = file.read()
    part = re.search(rf"^\.Ss {heading}\n(.*?)(?=^\.S[sh] )", text,
                     re.M | re.S)[1]
    return [one.replace("\\e", "\\") for one in re.findall(
        r"^\.Bd -literal -offset indent\n(.*?)^\.Ed$", part, re.M | re.S)]


def adapt(block, dialect, **replaced):
    """A peer section for a test; replaced: old text, which must be there, to
    new."""
    block = block.replace(EXAMPLES, os.path.join(PROJECT, "etc") + "/")
    block = block.replace("dialect = native",
                          f"dialect = {DIALECTS[dialect]}")
    block = block.replace("every 10m", "every 1s")
    for old, new in replaced.items():
        old = {"home": "/home/paris", "run": "/run/postrider/",
               "curlrc": "/etc/postrider/s3.curlrc",
               "bucket": "https://bucket.s3.example",
               "incoming": "/var/spool/nncp/incoming/paris"}[old]
        assert old in block
        block = block.replace(old, new)
    return re.sub(r"}\n?\Z", QUICK + "\n", block)


def swapped(block):
    """The same for the other end."""
    return block.replace("oslo", "?").replace("paris", "oslo").replace(
        "?", "paris")


class Pair:
    """paris and oslo; .bin[SITE] is first in the PATH of its daemon."""

    def __init__(self, node, work):
        self.node, self.work = node, work
        self.bin = {}
        for name in ("paris", "oslo"):
            self.bin[name] = os.path.join(work, "bin", name)
            os.makedirs(self.bin[name])

    def make(self, paris, oslo, dialect, **site):
        """Nodes with these peer sections."""
        ends = []
        for name, other, text in (("paris", "oslo", paris),
                                  ("oslo", "paris", oslo)):
            ends.append(self.node(name, env={
                "PATH": f"{self.bin[name]}:/usr/bin:/bin"},
                config=road.config(name, text, f"routes {{ {other}.example ="
                                   f" {other} }}\n", **site)))
        if dialect == "native":
            native.introduce(*ends)
        return ends

    def program(self, site, *names):
        for name in names:
            unpacked(os.path.join(self.bin[site], name), name)

    def near(self, node, directory, name="postrider"):
        """Our program under that name, for the node."""
        link = os.path.join(self.work, "bin", name)
        if not os.path.lexists(link):
            os.symlink(program("postrider"), link)
        script(os.path.join(directory, name), f"POSTRIDER_CONF={node.conf} "
               f"exec {link} \"$@\"")


@pytest.fixture
def pair(node, work, peers):
    return Pair(node, work)


@pytest.fixture
def openssh(work, peers):
    """openssh(HOME, NAME): an sshd that is not started."""
    made = []

    def make(home, name="oslo"):
        made.append(OpenSSH(os.path.join(work, "ssh-" + name), home, name))
        return made[-1]

    yield make
    for one in made:
        one.kill()


BIG = b"Subject: big\r\n\r\n" + b"".join(
    b"%064d\r\n" % (n * 7919) for n in range(3000))


def submit(one, other, count=2):
    """So many mails, small and big ones."""
    for n in range(count):
        one.submit(f"ann@{one.site}.example", [f"bob@{other.site}.example"],
                   HELLO if n % 2 == 0 else BIG)


def assert_arrive(one, count=2, turn=lambda: None):
    def there():
        turn()
        return len(one.maildir("bob")) >= count
    wait_for(there, 60, lambda: f"{one.site}: {one.log()[-3000:]}", every=0.1)
    assert sorted(one.maildir("bob")) == sorted([HELLO, BIG][:count])


def assert_failed_for_now(one, why):
    one.wait_log(f"object-failed .*kind=temporary.*{why}")
    assert one.cli("queue", "list", "--json")


def test_examples_are_installed():
    """The page names what is there, and what is there is on the page."""
    with open(os.path.join(PROJECT, "man/postrider-exec.8"),
              encoding="utf-8") as file:
        text = file.read()
    named = set(re.findall(re.escape(EXAMPLES) + r"exec/(\S+\.sh)", text))
    assert named == set(os.listdir(os.path.join(PROJECT, "etc/exec")))
    for name in named:
        assert os.access(os.path.join(PROJECT, "etc/exec", name), os.X_OK)


def test_link_by_ssh(pair, openssh, work):
    ssh = openssh(os.path.join(work, "home"))
    pair.bin["paris"] = ssh.bin
    here, there = blocks("The link by ssh")
    paris, oslo = pair.make(adapt(here, "native"),
                            adapt(there, "native", run=work + "/"), "native")
    pair.near(oslo, ssh.far)
    for one in (paris, oslo):
        one.start()
    submit(paris, oslo)
    paris.wait_log("transport-exited peer=oslo status=75")
    ssh.start()
    submit(oslo, paris)
    assert_arrive(oslo)
    assert_arrive(paris)
    native.wait_settled(paris, oslo)


@pytest.mark.parametrize("dialect", ("native", "bsmtp"))
def test_files_by_ssh(pair, openssh, work, dialect):
    """Each into the other; what the far node says is the outcome."""
    here, = blocks("Files by ssh")
    there = {name: openssh(os.path.join(work, "home-" + name), name)
             for name in ("paris", "oslo")}
    pair.bin = {"paris": there["oslo"].bin, "oslo": there["paris"].bin}
    paris, oslo = pair.make(adapt(here, dialect),
                            adapt(swapped(here), dialect), dialect)
    pair.near(paris, there["paris"].far)
    pair.near(oslo, there["oslo"].far)
    paris.start()
    submit(paris, oslo)
    assert_failed_for_now(paris, "exited with 255")
    for one in there.values():
        one.start()
    assert_failed_for_now(paris, "exited with 75")
    oslo.start()
    assert_arrive(oslo)
    submit(oslo, paris)
    assert_arrive(paris)
    native.wait_settled(paris, oslo)


def rsync_by_ssh(pair, openssh, work):
    ssh = openssh(os.path.join(work, "home"))
    pair.bin["paris"] = ssh.bin
    pair.program("paris", "rsync")
    unpacked(os.path.join(ssh.far, "rsync"), "rsync")
    return "oslo:", ssh.start, "exited with (255|12)"


def rsync_by_daemon(pair, processes, work):
    """A daemon of its own, with a module for each directory."""
    port = free_port()
    config = os.path.join(work, "rsyncd.conf")
    home = os.path.join(work, "home")
    with open(config, "w", encoding="ascii") as file:
        file.write(f"use chroot = no\nport = {port}\n"
                   "address = 127.0.0.1\nread only = no\n"
                   f"uid = {os.getuid()}\ngid = {os.getgid()}\n"
                   f"[in]\npath = {home}/in\n[out]\npath = {home}/out\n")
    unpacked(os.path.join(pair.bin["paris"], "rsync"), "rsync",
             f"--port={port}")
    return "oslo::", lambda: processes.start(
        [os.path.join(pair.bin["paris"], "rsync"), "--daemon",
         "--no-detach", f"--config={config}"],
        os.path.join(work, "rsyncd.log")), "exited with 10"


@pytest.mark.parametrize("dialect,by", (("native", "ssh"),
                                        ("rfc2442", "daemon")))
def test_files_by_rsync(pair, openssh, processes, work, dialect, by):
    home = os.path.join(work, "home")
    for name in ("in", "out"):
        os.makedirs(os.path.join(home, name))
    here, there = blocks("Files by rsync")
    place, start, why = rsync_by_ssh(pair, openssh, work) if by == "ssh" \
        else rsync_by_daemon(pair, processes, work)
    here = here.replace("oslo:", place.replace(
        "oslo::", "127.0.0.1::"))
    paris, oslo = pair.make(adapt(here, dialect),
                            adapt(there, dialect, home=home), dialect)
    both_ways(paris, oslo, start, why)
    wait_fetched(home)


def wait_fetched(home):
    """The last acknowledgement too, which comes when all is settled."""
    wait_for(lambda: not os.listdir(os.path.join(home, "out")), 30,
             lambda: os.listdir(os.path.join(home, "out")))


def both_ways(paris, oslo, start, why):
    """Only paris calls; the road opens when its first try has failed."""
    paris.start()
    oslo.start()
    submit(paris, oslo)
    submit(oslo, paris)
    assert_failed_for_now(paris, why)
    start()
    assert_arrive(oslo)
    assert_arrive(paris)
    native.wait_settled(paris, oslo)
    for one in (paris, oslo):
        assert "object-duplicate" not in one.log()


@pytest.mark.parametrize("dialect", ("native", "bsmtp"))
def test_files_by_sftp(pair, openssh, work, dialect):
    home = os.path.join(work, "home")
    for name in ("in", "out"):
        os.makedirs(os.path.join(home, name))
    ssh = openssh(home)
    pair.bin["paris"] = ssh.bin
    here, _ = blocks("Files by sftp")
    there = blocks("Files by rsync")[1]
    paris, oslo = pair.make(adapt(here, dialect),
                            adapt(there, dialect, home=home), dialect)
    both_ways(paris, oslo, ssh.start, "exited with 255")
    wait_fetched(home)


def test_files_by_scp(pair, openssh, work):
    """Oslo's acknowledgements have no way back here: bsmtp."""
    home = os.path.join(work, "home")
    for name in ("in", "out"):
        os.makedirs(os.path.join(home, name))
    ssh = openssh(home)
    pair.bin["paris"] = ssh.bin
    here = blocks("Files by sftp")[1]
    there = blocks("Files by rsync")[1]
    paris, oslo = pair.make(adapt(here, "bsmtp"),
                            adapt(there, "bsmtp", home=home), "bsmtp")
    paris.start()
    oslo.start()
    submit(paris, oslo)
    assert_failed_for_now(paris, "exited with 255")
    ssh.start()
    assert_arrive(oslo)
    native.wait_settled(paris)


class Nncp:
    """Two NNCP nodes that exchange packets over a folder."""

    def __init__(self, pair, work):
        self.pair, self.work = pair, work
        self.stick = os.path.join(work, "stick")
        os.mkdir(self.stick)
        self.keys = {}
        for name in pair.bin:
            text = subprocess.run([peers_program("nncp-cfgnew"),
                                   "-nocomments"], check=True, text=True,
                                  capture_output=True).stdout
            self.keys[name] = dict(re.findall(
                r"(\w+): ([A-Z2-7]{52,})$", text.split("neigh:")[0], re.M))

    def configure(self, name, other, more):
        """more: what is said of the neighbour beyond its keys."""
        at = os.path.join(self.work, "nncp", name)
        os.makedirs(at)
        own = "\n".join(f"{key}: {value}" for key, value
                        in self.keys[name].items())

        def public(site):
            return "\n".join(f"{key}: {self.keys[site][key]}" for key in
                             ("id", "exchpub", "signpub", "noisepub"))

        config = os.path.join(at, "nncp.hjson")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"{{\nspool: {at}/spool\nlog: {at}/log\n"
                       f"self: {{\n{own}\n}}\nneigh: {{\n"
                       f"self: {{\n{public(name)}\n}}\n"
                       f"{other}: {{\n{public(other)}\n{more}\n}}\n}}\n}}\n")
        for tool in ("nncp-exec", "nncp-file", "nncp-toss", "nncp-xfer"):
            path = os.path.join(self.pair.bin[name], tool)
            script(path, f"exec {peers_program(tool)} -cfg {config} \"$@\"")

    def run(self, name, tool, *args):
        done = subprocess.run(
            [os.path.join(self.pair.bin[name], tool), "-quiet", *args],
            env={"PATH": self.pair.bin[name] + ":/usr/bin:/bin"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=patient(60), check=False)
        return done.returncode

    def turn(self):
        """Somebody carries the folder round once."""
        for name in ("paris", "oslo", "paris"):
            self.run(name, "nncp-xfer", "-mkdir", self.stick)
        for name in ("paris", "oslo"):
            self.run(name, "nncp-toss")

    def waiting(self, name):
        """Packets that have come and were not done."""
        found = []
        for top, _, files in os.walk(os.path.join(self.work, "nncp", name,
                                                  "spool")):
            if os.path.basename(top) == "rx":
                found += [one for one in files if len(one) > 40]
        return found


@pytest.mark.parametrize("dialect", ("native", "bsmtp"))
def test_files_by_nncp_exec(pair, work, dialect):
    nncp = Nncp(pair, work)
    here, handle = blocks("Files by NNCP")[:2]
    for name, other, text in (("oslo", "paris", handle),
                              ("paris", "oslo", swapped(handle))):
        assert "/usr/local/bin/" in text
        nncp.configure(name, other, text.replace("/usr/local/bin",
                                                 pair.bin[name]))
    paris, oslo = pair.make(adapt(here, dialect),
                            adapt(swapped(here), dialect), dialect,
                            uucp_users=getpass.getuser())
    for one in (paris, oslo):
        pair.near(one, pair.bin[one.site], "rsmtp")
    paris.start()
    submit(paris, oslo)
    # The far node is down: NNCP keeps the packet and tries again.
    wait_for(lambda: nncp.turn() or nncp.waiting("oslo"), 30, paris.log)
    oslo.start()
    submit(oslo, paris)
    assert_arrive(oslo, turn=nncp.turn)
    assert_arrive(paris, turn=nncp.turn)
    wait_for(lambda: nncp.turn() or native.settled(paris, oslo), 60,
             lambda: paris.log() + oslo.log())
    assert nncp.waiting("oslo") == nncp.waiting("paris") == []


def test_files_by_nncp_file(pair, work):
    nncp = Nncp(pair, work)
    incoming = os.path.join(work, "incoming")
    os.mkdir(incoming)
    here, there = blocks("Files by NNCP")[2:]
    nncp.configure("oslo", "paris", f"incoming: {incoming}")
    nncp.configure("paris", "oslo", "")
    paris, oslo = pair.make(adapt(here, "rfc2442"),
                            adapt(there, "rfc2442", incoming=incoming),
                            "rfc2442")
    os.rename(os.path.join(work, "nncp/paris/nncp.hjson"),
              os.path.join(work, "away"))
    paris.start()
    oslo.start()
    submit(paris, oslo)
    assert_failed_for_now(paris, "exited with 1")
    os.rename(os.path.join(work, "away"),
              os.path.join(work, "nncp/paris/nncp.hjson"))
    assert_arrive(oslo, turn=nncp.turn)
    native.wait_settled(paris)


class Bucket(http.server.ThreadingHTTPServer):
    """Enough of S3: objects by PUT, GET and DELETE, lists of at most three
    keys, and AWS signatures (version 4), which are made anew and compared."""

    daemon_threads = True
    KEY, SECRET = "AKEXAMPLE", "s3cr3t+/="
    SIGNED = re.compile(
        r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d+)/([\w-]+)/s3/aws4_request,"
        r" ?SignedHeaders=([\w;-]+), ?Signature=([0-9a-f]{64})\Z")

    def __init__(self):
        super().__init__(("127.0.0.1", 0), BucketHandler)
        self.objects = {}
        self.refused = []
        self.down = True
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class BucketHandler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def _is_signed(self):
        found = Bucket.SIGNED.match(self.headers.get("Authorization", ""))
        if found is None or found[1] != Bucket.KEY:
            return False
        path, _, query = self.path.partition("?")
        names = found[4].split(";")
        content = self.headers["x-amz-content-sha256"]
        canonical = "\n".join((
            self.command, path, "&".join(sorted(query.split("&"))),
            *(f"{name}:{self.headers[name].strip()}" for name in names), "",
            found[4], content))
        scope = f"{found[2]}/{found[3]}/s3/aws4_request"
        text = "\n".join((
            "AWS4-HMAC-SHA256", self.headers["x-amz-date"], scope,
            hashlib.sha256(canonical.encode()).hexdigest()))
        key = ("AWS4" + Bucket.SECRET).encode()
        for part in scope.split("/") + [text]:
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key.hex() == found[5]

    def _answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _serve(self, serve):
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.down:
            self._answer(503)
        elif not self._is_signed():
            self.server.refused.append(self.path)
            self._answer(403)
        else:
            serve(self.path.partition("?")[0].lstrip("/"), data)

    def do_PUT(self):
        def put(key, data):
            self.server.objects[key] = data
            self._answer(200)
        self._serve(put)

    def do_DELETE(self):
        def delete(key, _):
            self.server.objects.pop(key, None)
            self._answer(204)
        self._serve(delete)

    def do_GET(self):
        def get(key, _):
            if not key:
                self._answer(200, self._list())
            elif key in self.server.objects:
                self._answer(200, self.server.objects[key])
            else:
                self._answer(404)
        self._serve(get)

    def _list(self):
        query = dict(urllib.parse.parse_qsl(self.path.partition("?")[2]))
        assert query["list-type"] == "2"
        keys = sorted(key for key in self.server.objects
                      if key.startswith(query["prefix"]))
        return ("<?xml version=\"1.0\"?>\n<ListBucketResult>"
                f"<Prefix>{query['prefix']}</Prefix>" + "".join(
                    f"<Contents><Key>{key}</Key><Size>1</Size></Contents>"
                    for key in keys[:3]) + "</ListBucketResult>").encode()


@pytest.mark.parametrize("dialect", ("native", "rfc2442"))
def test_files_by_s3(pair, work, dialect):
    bucket = Bucket()
    here, curlrc = blocks("Files by S3")
    path = os.path.join(work, "s3.curlrc")
    with open(path, "w", encoding="ascii") as file:
        file.write(curlrc.replace("KEY:SECRET",
                                  f"{Bucket.KEY}:{Bucket.SECRET}"))
    for site in ("paris", "oslo"):
        pair.program(site, "curl")
    ends = pair.make(*(adapt(text, dialect, curlrc=path,
                             bucket=bucket.url())
                       for text in (here, swapped(here))), dialect)
    paris, oslo = ends
    bucket.objects["paris/~.."] = bucket.objects["paris/zz/y"] = b"?"

    def start():
        bucket.down = False
    both_ways(paris, oslo, start, "exited with 22")
    assert bucket.refused == []
    wait_for(lambda: set(bucket.objects) == {"paris/~..", "paris/zz/y"}, 30,
             lambda: list(bucket.objects), every=0.1)
    for one in ends:
        assert Bucket.SECRET not in one.log()
    bucket.shutdown()
    bucket.server_close()
