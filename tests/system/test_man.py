# SPDX-License-Identifier: ISC
"""The manual pages: clean, whole, and true where a program can tell."""

import glob
import os
import re
import subprocess

import pytest

from peers_common import PROJECT, program

PAGES = sorted(glob.glob(os.path.join(PROJECT, "man/*.[1578]")))
NEEDED = ("postrider.1", "postrider.conf.5", "postrider-log.5",
          "postrider-transport.7", "postrider-spool.7", "postriderd.8",
          "postrider-file.8", "postrider-mail.8", "postrider-batch.5",
          "postrider-parcel.5", "postrider-card.5", "postrider-link.7",
          "postrider-serial.8", "postrider-tcp.8", "postrider-exec.8",
          "postrider-uucp.8", "rsmtp.8")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def section(name, heading):
    text = read(os.path.join(PROJECT, "man", name))
    return re.search(rf"^\.Sh {heading}\n(.*?)(?=^\.Sh |\Z)", text,
                     re.M | re.S)[1]


def test_all_are_there():
    names = {os.path.basename(path) for path in PAGES}
    assert set(NEEDED) <= names


@pytest.mark.parametrize("path", PAGES, ids=os.path.basename)
def test_lint(path):
    done = subprocess.run(["mandoc", "-T", "lint", path], text=True,
                          capture_output=True, check=False)
    # Whether other packages' pages are installed is not our matter.
    found = [line for line in done.stdout.splitlines()
             if "referenced manual not found" not in line]
    assert found == []


@pytest.mark.parametrize("path", PAGES, ids=os.path.basename)
def test_name_and_section(path):
    name, _, number = os.path.basename(path).rpartition(".")
    assert f"\n.Dt {name.upper()} {number}\n" in read(path)
    assert "SPDX-License-Identifier: ISC" in read(path).split("\n")[0]


@pytest.mark.parametrize("path", PAGES, ids=os.path.basename)
def test_what_it_refers_to_exists(path):
    for name, number in re.findall(r"^\.Xr (postrider\S*) (\d)", read(path),
                                   re.M):
        assert os.path.exists(os.path.join(
            PROJECT, "man", f"{name}.{number}")), f"{name}({number})"


@pytest.mark.parametrize("path", PAGES, ids=os.path.basename)
def test_it_has_an_example(path):
    assert "\n.Sh EXAMPLES\n" in read(path)


def configurations():
    """Displayed text that is sections of a configuration."""
    found = []
    for path in PAGES:
        for number, text in enumerate(re.findall(
                r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed", read(path),
                re.M | re.S), 1):
            if re.search(r"^(site|listen|delivery|peer|link|routes|via)\b"
                         r".*\{", text, re.M):
                found.append(pytest.param(
                    text, id=f"{os.path.basename(path)}-{number}"))
    return found


@pytest.mark.parametrize("text", configurations())
def test_configuration_is_good(text, tmp_path):
    """As it stands, with the sections that every configuration has."""
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    secret.chmod(0o600)
    text = text.replace("\\e", "\\").replace(
        "/etc/postrider/provider.password", str(secret))
    if "site " not in text:
        text = "site here { postmaster = p@here.example }\n" + text
    if "delivery " not in text:
        text += ("delivery local {\n\tdomains = { here.example }\n"
                 f"\tto = \"maildir:{tmp_path}/mail\"\n}}\n")
    conf = tmp_path / "postrider.conf"
    conf.write_text(text)
    done = subprocess.run([program("postriderd"), "-n", "-c", conf],
                          text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr + text


def test_options_of_the_daemon():
    usage = subprocess.run([program("postriderd"), "-?"], text=True,
                           capture_output=True, check=False)
    assert usage.returncode == 64
    said = set(re.findall(r"\[-(\w)", usage.stderr))
    listed = set(re.findall(r"^\.It Fl (\w)",
                            section("postriderd.8", "DESCRIPTION"), re.M))
    assert said == listed == set("cfnV")


def test_signals_of_the_daemon():
    source = read(os.path.join(PROJECT, "node/daemon.c"))
    handled = set(re.findall(r"evsignal_new\(\S+ (SIG\w+)", source))
    listed = set(re.findall(r"\bSIG\w+", " ".join(re.findall(
        r"^\.It Dv (.*)$", section("postriderd.8", "SIGNALS"), re.M))))
    assert handled == listed


def test_how_long_the_daemon_lets_work_end():
    source = read(os.path.join(PROJECT, "node/daemon.c"))
    seconds = re.search(r"#define STOP_SECS (\d+)", source)[1]
    assert f"after {seconds} seconds" in section("postriderd.8", "SIGNALS")
