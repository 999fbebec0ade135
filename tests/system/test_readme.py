# SPDX-License-Identifier: ISC
"""What the README tells people to type works, and what it names exists."""

import os
import re
import subprocess

from peers_common import BUILD, PROJECT, free_port, patient


def readme():
    with open(os.path.join(PROJECT, "README.md"), encoding="utf-8") as file:
        return file.read()


def test_the_two_sites(work):
    script = re.search(r"<!-- try -->\n```sh\n(.*?)```", readme(), re.S)[1]
    for port in ("2442", "2443"):
        assert f"127.0.0.1:{port}" in script
        script = script.replace(f":{port}", f":{free_port()}")
    # For people some seconds will do; here they may not.
    for sleep, what in (
            ("sleep 1", "postrider -c ~/paris/postrider.conf status && "
             "postrider -c ~/oslo/postrider.conf status"),
            ("sleep 5", "ls ~/oslo/mail/bob/new/*")):
        assert f"\n{sleep}\n" in script
        script = script.replace(f"\n{sleep}\n", (
            f"\nuntil {{ {what}; }} >/dev/null 2>&1; do sleep .1; done\n"))
    path = os.path.join(work, "try")
    with open(path, "w", encoding="utf-8") as file:
        file.write("set -e\ntrap 'kill $(jobs -p) 2>/dev/null || :' EXIT\n"
                   + script + "wait\n")
    done = subprocess.run(["bash", path], text=True, capture_output=True,
                          check=False, timeout=patient(120),
                          stdin=subprocess.DEVNULL,
                          env={**os.environ, "HOME": work,
                               "PATH": BUILD + ":" + os.environ["PATH"]})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "site oslo" in done.stdout
    assert re.search(r"^hello$", done.stdout, re.M)


def test_what_it_links_to_exists():
    for target in re.findall(r"\]\(([^)]+)\)", readme()):
        assert os.path.exists(os.path.join(PROJECT, target)), target


def test_folders_are_those_there_are():
    table = readme().split("| folder | what is in it |")[1].split("\n\n")[0]
    listed = set(re.findall(r"`([a-z]+)(?:/[a-z]*)*`", table))
    tracked = subprocess.run(["git", "-C", PROJECT, "ls-files"], text=True,
                             capture_output=True, check=False).stdout
    if tracked:
        there = {name.split("/")[0] for name in tracked.splitlines()
                 if "/" in name and not name.startswith(".")}
        assert there == listed


def test_manual_pages_it_names_exist():
    for name, number in re.findall(r"\b(postrider[\w.-]*)\((\d)\)",
                                   readme()):
        assert os.path.exists(os.path.join(PROJECT, "man",
                                           f"{name}.{number}"))
