# SPDX-License-Identifier: ISC
"""postrider-log(5) and the calls of log_event() say the same.

Both ways: what the program can log is in the page, with its levels and the
keys in their order, and the page has nothing that no longer exists.
"""

import glob
import os
import re

from peers_common import PROJECT

PAGE = os.path.join(PROJECT, "man/postrider-log.5")
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')


def split_arguments(text):
    """The arguments of a call, text being what follows its bracket."""
    arguments, depth, now, i = [], 0, "", 0
    while True:
        quoted = LITERAL.match(text, i)
        if quoted:
            now += quoted.group()
            i = quoted.end()
            continue
        char = text[i]
        i += 1
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        if depth < 0 or (char == "," and depth == 0):
            arguments.append(" ".join(now.split()))
            now = ""
            if depth < 0:
                return arguments
        else:
            now += char


def words_of(argument, source):
    """A literal, a choice of two, or a row of a table in the same file."""
    table = re.match(r"(\w+)\[", argument)
    if table is None:
        return LITERAL.findall(argument)
    found = re.search(rf"\b{table[1]}\[\] = \{{(.*?)\}};", source, re.S)
    return LITERAL.findall(found[1])


def calls():
    """(word, keys, levels, where) of each log_event() in the programs."""
    for path in sorted(glob.glob(os.path.join(PROJECT, "*/*.c"))):
        if os.path.relpath(path, PROJECT) == "base/log.c":
            continue
        with open(path, encoding="utf-8") as file:
            source = file.read()
        for call in re.finditer(r"\blog_event\(", source):
            arguments = split_arguments(source[call.end():])
            where = "%s:%d" % (os.path.relpath(path, PROJECT),
                               source.count("\n", 0, call.start()) + 1)
            assert arguments[-1] == "NULL", where
            keys = [LITERAL.fullmatch(one) for one in arguments[3:-1:2]]
            assert all(keys) and len(arguments) % 2 == 0, where
            levels = {name.lower() for name
                      in re.findall(r"LOG_LEVEL_(\w+)", arguments[1])}
            words = words_of(arguments[2], source)
            assert words, where
            for word in words:
                yield (word, tuple(key[1] for key in keys), levels, where)


def entries():
    """(word, keys) in the page, and their levels."""
    with open(PAGE, encoding="utf-8") as file:
        events = file.read().split(".Sh EVENTS")[1].split(".Sh EXAMPLES")[0]
    listed = {}
    for word, keys, levels in re.findall(
            r"^\.It Cm (\S+)(?: Ar (.*))?\n\.Pq (.*)$", events, re.M):
        entry = (word, tuple(keys.split()))
        assert entry not in listed, word
        listed[entry] = set(levels.split(", "))
    assert len(re.findall(r"^\.It", events, re.M)) == len(listed)
    return listed


# One call for two words: this one never has a reason, and is never a warning.
OPTIONAL = {"object-received": {"reason"}}


def test_what_is_logged_is_in_the_page():
    listed = entries()
    for word, keys, levels, where in calls():
        keys = tuple(key for key in keys
                     if key not in OPTIONAL.get(word, ()))
        assert (word, keys) in listed, where
        if word in ("object-received", "object-broken"):
            levels = {"info" if word == "object-received" else "warning"}
        assert levels <= listed[(word, keys)], where


def test_what_is_in_the_page_is_logged():
    logged = {(word, tuple(key for key in keys
                           if key not in OPTIONAL.get(word, ())))
              for word, keys, _, _ in calls()}
    assert len(logged) > 40
    assert set(entries()) - logged == set()


def test_words_are_words():
    for word, keys, _, where in calls():
        for one in (word,) + keys:
            assert re.fullmatch(r"[a-z]+(-[a-z]+)*", one), where
