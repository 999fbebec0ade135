# SPDX-License-Identifier: ISC
"""Whether a mail is still itself behind a server that adds trace fields."""

import re


def split(content):
    """Header fields as they stand, folds included, and the body; CR LF
    becomes LF."""
    content = content.replace(b"\r\n", b"\n")
    if content.startswith(b"\n"):
        return [], content[1:]
    head, _, body = content.partition(b"\n\n")
    return re.findall(rb"[^\n]+(?:\n[ \t][^\n]*)*", head), body


def differences(got, sent):
    """What was lost or changed on the way, as words; none is good.

    The body must be the same to the octet, and each field that was sent
    must be there as it was, in the order it was sent; more fields may
    stand between.
    """
    found = []
    fields, body = split(got)
    sent_fields, sent_body = split(sent)
    if body != sent_body:
        found.append(f"body: {body[:300]} for {sent_body[:300]}")
    rest = iter(fields)
    for field in sent_fields:
        if field not in rest:
            found.append(f"header: no {field[:200]} in {fields}")
            break
    return found
