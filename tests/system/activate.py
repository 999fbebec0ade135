#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""activate.py ADDRESS... PROGRAM ARGS: hands over listening sockets as
systemd does (sd_listen_fds(3)): HOST:PORT or /path; PROGRAM begins with /
and is executable."""

import os
import socket
import sys

fds = []
args = sys.argv[1:]
while not os.access(args[0], os.X_OK):
    where = args.pop(0)
    if where.startswith("/"):
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(where)
    else:
        host, _, port = where.rpartition(":")
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, int(port)))
    sock.listen(16)
    fds.append(sock.detach())
for number, fd in enumerate(fds, 3):
    # The lowest free descriptors were given out in order.
    if number != fd:
        os.dup2(fd, number)
    os.set_inheritable(number, True)
os.environ["LISTEN_FDS"] = str(len(fds))
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(args[0], args)
