#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Chooses the dictionary of the native dialect's compression from mails.

    bundle/make_dictionary.py FOLDER...             writes C on stdout
    bundle/make_dictionary.py --raw FOLDER...       the octets alone
    bundle/make_dictionary.py --show                those of dictionary.c

A FOLDER holds mails below it; the folder that a mail lies in is taken for its
source.  Only what occurs in mails of several sources is chosen, and nothing
that could tell of one of them:

* of header fields names and, where values are structured, runs of keywords
  and punctuation; free text gives nothing (UNSTRUCTURED);
* of bodies single words in small letters, and tags of HTML without the
  addresses in them;
* no word that occurs in anybody's name or address, but where it is a word
  of the protocols (KEYWORDS); no domain; no number but short ones.

Choosing is greedy: the token that covers most of what is yet uncovered in all
mails comes next.  The best stand at the end, since a short distance costs
deflate fewer bits.  What it is worth, `make bench-dict` measures.
"""
import argparse
import hashlib
import heapq
import os
import re
import sys

SIZE_MAX = 16384		# octets; more of them gained nothing
TOKEN_MAX = 96			# octets
ATOMS_MAX = 40
MAILS_MIN = 4			# a token occurs in so many mails
SOURCES_MIN = 3			# of so many sources
WORD_SOURCES_MIN = 5		# the same for a word of a body
HEAD_MAX = 12288		# octets of a mail that are looked at
MATCH_COST = 2.6		# octets that deflate needs for a match
LITERAL_COST = 0.72		# and for a literal

# What our own writer writes, which no mail holds.
SEEDS = [
    " XHOP=", " BY=", " ENVID=", " RET=HDRS", " RET=FULL", " MT-PRIORITY=",
    " SMTPUTF8", " BODY=BINARYMIME", " NOTIFY=NEVER", " NOTIFY=FAILURE",
    " NOTIFY=SUCCESS,FAILURE", " NOTIFY=SUCCESS,FAILURE,DELAY",
    " ORCPT=utf-8;", " BODY=8BITMIME", " XID=",
    " ORCPT=rfc822;", " LAST\r\n", ">\r\nBDAT ", ">\r\nRCPT TO:<",
    "MAIL FROM:<",
]
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
DAYS = "Mon Tue Wed Thu Fri Sat Sun".split()
# Mails of today; the folders may be old.
SEEDS = [f" {month} 202" for month in MONTHS] + \
    [f"\r\nDate: {day}, " for day in DAYS] + SEEDS

# Free text and addresses: of these fields the name alone is looked at.
UNSTRUCTURED = re.compile(
    rb"(?i)(subject|comments|keywords|from|to|cc|bcc|sender|reply-to|"
    rb"organi[sz]ation|delivered-to|x-original-to|envelope-to|errors-to|"
    rb"return-path|resent-\w+|thread-topic|references|in-reply-to|message-id|"
    rb"content-description|disposition-notification-to|list-[\w-]+|"
    rb"(original|final)-recipient|x-[\w-]*(id|from|to|by|sender|host|domain|"
    rb"address|ip|user|mailer|report|key|info|result|path|server|name))$")
ADDRESSED = re.compile(
    rb"(?im)^(?:from|to|cc|bcc|sender|reply-to|delivered-to|return-path|"
    rb"x-original-to|envelope-to|errors-to|message-id|references|in-reply-to|"
    rb"received|organi[sz]ation|list-[\w-]+|user-agent|x-mailer|"
    rb"original-recipient|final-recipient|reporting-mta|remote-mta)"
    rb":((?:.*\n[ \t])*.*)")
KEYWORDS = set(b"""
    and by for from id mail message of on the to via with as in is not or re
    fwd mime version text plain html multipart mixed alternative related
    report digest signed encrypted content type transfer encoding disposition
    attachment inline filename name charset boundary format flowed delsp us
    ascii utf iso windows koi bit quoted printable base binary smtp esmtp
    esmtps esmtpa esmtpsa lmtp http https local localhost unknown helo ehlo
    tls cipher bits version verify using postfix sendmail exim qmail envelope
    invoked authenticated sender received return path reply delivered date
    subject cc bcc references list unsubscribe archive help post subscribe
    owner precedence bulk auto submitted generated replied no yes none normal
    high low priority importance user agent mailer original spam status
    score level flag tests dkim spf dmarc arc signature domainkey
    authentication results pass fail neutral softfail header helo mailfrom
    sha rsa simple relaxed application octet stream image png jpeg gif pdf
    audio video calendar rfc delivery action failed delayed delivered
    relayed expanded diagnostic code final recipient remote reporting mta
    dns notification pgp pkcs smime micalg protocol mon tue wed thu fri sat
    sun jan feb mar apr may jun jul aug sep oct nov dec est edt pst pdt cet
    cest gmt utc mdt cst body br div span font size style color class table
    tr td th width height border align center left right top bottom family
    arial helvetica sans serif margin padding background title meta head href
    a p b i u img src alt li ul ol h blockquote http equiv script link strong
    em hr cellpadding cellspacing valign bgcolor px pt decoration underline
    nbsp amp lt gt quot nowrap white space word wrap break mso normal section
    o line dir ltr lang en face media type css display block
    """.split())
ATOM = re.compile(rb"[A-Za-z]+|(?:19|20)(?=\d\d\b)|\d+|\r\n|.", re.S)
FIELD = re.compile(rb"([A-Za-z][A-Za-z0-9-]*):")
TAGS = re.compile(rb"(?:</?[A-Za-z!][^<>]{0,200}>\s*)+")
VALUE = re.compile(rb"(?i)(https?:|mailto:|cid:)[^\s\"'>]*")
WORD = re.compile(rb"(?<![A-Za-z0-9@._/+=-])([ ]?)([a-z]{2,}(?:'[a-z]+)?)"
                  rb"(?![A-Za-z0-9@_/+=-])")
NUMBERS = re.compile(rb"\d{1,2}|100|8859|125\d|2022|0000|0\d00|19|20|822|"
                     rb"2047|256|600|640|401")
# Tokens that tell of one day, host or address.
PARTICULAR = re.compile(rb"\d\d:|:\d|\d:$|(19|20)\d|\d\.\d\d|\d\d\.|\[\d|"
                        rb"\d\]|\bco\.uk|\d [A-Z][a-z][a-z]\b|^\d+ *([-+]|$)|"
                        rb" id <?\w$|[0-9A-F]\)?\r\n\s+for|^\d\)? |e100|"
                        rb"\d \d|f8b|^\d+\)?\r\n|^\.\d|, \d")
SEPARATOR = None		# in a list of atoms: nothing goes across


class Mail:
    """One mail with CR LF, as far as it is looked at."""

    def __init__(self, path, source):
        self.path, self.source = path, source
        with open(path, "rb") as file:
            self.octets = file.read()
        self.octets = re.sub(rb"\r?\n", b"\r\n", self.octets)
        self.head = self.octets[:HEAD_MAX]


def read_mails(folders):
    mails = []
    for top in folders:
        for where, _, names in sorted(os.walk(top)):
            mails += [Mail(os.path.join(where, name),
                           os.path.relpath(where, os.path.dirname(
                               os.path.abspath(top))))
                      for name in sorted(names)
                      if not re.search(r"\.(md|tsv|py|txt)$|^\.", name)]
    return mails


def names_in(mails):
    """The words of everybody's names, addresses and hosts."""
    words = set()
    for mail in mails:
        text = mail.octets.replace(b"\r\n", b"\n")
        for value in ADDRESSED.findall(text):
            words.update(re.findall(rb"[a-z]{3,}", value.lower()))
        for value in re.findall(rb"[\w.+-]+@[\w.-]+", text):
            words.update(re.findall(rb"[a-z]{3,}", value.lower()))
    return words - KEYWORDS


def blocks(octets):
    """(is_header, octets) of a mail: header fields, also those of parts and
    of mails inside, and the rest."""
    header, lines = True, []
    for line in octets.split(b"\r\n"):
        field = FIELD.match(line) is not None or \
            (header and line[:1] in b" \t" and line.strip() != b"")
        if field != header and lines:
            yield header, lines
            lines = []
        header = field
        lines.append(line)
    yield header, lines


def header_atoms(lines, names):
    atoms, open_value = [b"\r\n"], True
    for line in lines:
        field = FIELD.match(line)
        if field:
            atoms += ATOM.findall(field.group(0) + b" ")
            open_value = not UNSTRUCTURED.match(field.group(1))
            line = line[field.end():].lstrip()
        if open_value:
            atoms += [atom if allowed(atom, names) else SEPARATOR
                      for atom in ATOM.findall(line)]
        else:
            atoms.append(SEPARATOR)
        atoms.append(b"\r\n")
    return atoms + [SEPARATOR]


def allowed(atom, names):
    if atom.isdigit():
        return NUMBERS.fullmatch(atom) is not None
    if atom.isalpha() and len(atom) > 2:
        return atom.lower() not in names
    return atom not in b"@" and max(atom) < 127


def body_atoms(lines, names):
    atoms = []
    text = b"\r\n".join(lines)
    for run in TAGS.findall(text):
        for piece in re.split(rb"\0", VALUE.sub(rb"\1\0", run)):
            atoms += [atom if allowed(atom, names) else SEPARATOR
                      for atom in ATOM.findall(piece)]
            atoms.append(SEPARATOR)
    return atoms


def body_words(lines, names):
    text = TAGS.sub(b"\0", b"\n".join(lines))
    return {blank + word for blank, word in WORD.findall(text)
            if word not in names}


def tokens_of(mail, names):
    """Lists of atoms, and a set of words."""
    atoms, words = [], set()
    for is_header, lines in blocks(mail.head):
        if is_header:
            atoms += header_atoms(lines, names)
        else:
            atoms += body_atoms(lines, names)
            words |= body_words(lines, names)
    return atoms, words


class Counts:
    """In how many mails and sources something occurs."""

    def __init__(self):
        self.seen = {}

    def add(self, thing, number, source):
        mails, sources = self.seen.setdefault(thing, (set(), set()))
        mails.add(number)
        sources.add(source)

    def frequent(self, sources_min):
        return {thing: mails for thing, (mails, sources) in self.seen.items()
                if len(mails) >= MAILS_MIN and len(sources) >= sources_min}


def frequent_runs(all_atoms, mails):
    """Runs of atoms, one longer each turn, as long as the shorter occur."""
    found, before = {}, None
    for length in range(1, ATOMS_MAX + 1):
        counts = Counts()
        for number, atoms in enumerate(all_atoms):
            for at in range(len(atoms) - length + 1):
                run = tuple(atoms[at:at + length])
                if SEPARATOR in run or (before is not None and
                                        (run[1:] not in before or
                                         run[:-1] not in before)):
                    continue
                counts.add(run, number, mails[number].source)
        before = counts.frequent(SOURCES_MIN)
        if not before:
            break
        for run, where in before.items():
            token = b"".join(run)
            if 4 <= len(token) <= TOKEN_MAX and \
                    not PARTICULAR.search(token):
                found[token] = where
    return found


def candidates(mails):
    names = names_in(mails)
    all_atoms, words = [], Counts()
    for number, mail in enumerate(mails):
        atoms, found = tokens_of(mail, names)
        all_atoms.append(atoms)
        for word in found:
            words.add(word, number, mail.source)
    tokens = frequent_runs(all_atoms, mails)
    for word, where in words.frequent(WORD_SOURCES_MIN).items():
        if len(word) > 3:
            tokens.setdefault(word, where)
    return tokens


class Cover:
    """Which octets of which mail some token covers already."""

    def __init__(self, mails):
        self.texts = [b"\r\n" + mail.head for mail in mails]
        self.free = [bytearray(b"\1" * len(text)) for text in self.texts]
        self.places = {}

    def find(self, token, where):
        if token not in self.places:
            self.places[token] = [(n, self.texts[n].find(token))
                                  for n in where]
            self.places[token] = [(n, at) for n, at in self.places[token]
                                  if at >= 0]
        return self.places[token]

    def gain(self, token, where):
        total = 0
        for n, at in self.find(token, where):
            free = self.free[n].count(1, at, at + len(token))
            total += max(0, free * LITERAL_COST - MATCH_COST)
        return total

    def take(self, token, where):
        for n, at in self.find(token, where):
            self.free[n][at:at + len(token)] = bytes(len(token))


def choose(mails, size):
    """The tokens, best first, of `size` octets together."""
    tokens, cover = candidates(mails), Cover(mails)
    heap = [(-cover.gain(token, where) / len(token) ** 0.25, token)
            for token, where in tokens.items()]
    heapq.heapify(heap)
    chosen, held, octets = [], b"", sum(map(len, SEEDS))
    while heap and octets < size:
        _, token = heapq.heappop(heap)
        gain = -cover.gain(token, tokens[token]) / len(token) ** 0.25
        if token in held or gain > -2:
            continue
        if heap and gain > heap[0][0]:
            heapq.heappush(heap, (gain, token))
            continue
        cover.take(token, tokens[token])
        if octets + len(token) > size:
            continue
        chosen.append(token)
        held += token
        octets += len(token)
    return chosen


def make_dictionary(mails, size=SIZE_MAX):
    best_first = choose(mails, size)
    return b"".join(reversed(best_first)) + \
        b"".join(seed.encode() for seed in SEEDS)


def c_literals(octets):
    """Lines of a string, cut behind line ends and where they get long."""
    escapes = {10: "\\n", 13: "\\r", 9: "\\t", 34: '\\"', 92: "\\\\"}
    line = ""
    for at, octet in enumerate(octets):
        # "??" begins a trigraph
        line += "\\?" if octet == 63 else escapes.get(octet, chr(octet))
        if len(line) >= 64 or at == len(octets) - 1:
            yield line
            line = ""


def write_c(dictionary, count):
    digest = hashlib.sha256(dictionary).hexdigest()
    print(f"""/* SPDX-License-Identifier: ISC */
/*
 * Generated by bundle/make_dictionary.py from {count} mails; not to be edited,
 * and what has been released is never changed: another one gets an id of its
 * own.
 *
 * {len(dictionary)} octets, SHA-256
 * {digest}
 */
#include "bundle/dictionary.h"

const struct slice dictionary_mail_1 = SLICE_LIT(""")
    lines = [f'    "{line}"' for line in c_literals(dictionary)]
    print("\n".join(lines) + ");")


def shipped():
    """The octets of the dictionary in the C file beside this one."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                        "dictionary.c")
    with open(path, encoding="ascii") as file:
        literals = re.findall(r'^    "(.*)"', file.read(), re.M)
    text = "".join(literals).replace("\\?", "?")
    return text.encode().decode("unicode_escape").encode("latin-1")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=(
        argparse.RawDescriptionHelpFormatter))
    parser.add_argument("--raw", action="store_true")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("folder", nargs="*")
    args = parser.parse_args()
    if args.show:
        sys.stdout.buffer.write(shipped())
        return 0
    if not args.folder:
        parser.error("folders of mails are wanted")
    mails = read_mails(args.folder)
    dictionary = make_dictionary(mails)
    if args.raw:
        sys.stdout.buffer.write(dictionary)
    else:
        write_c(dictionary, len(mails))
    return 0


if __name__ == "__main__":
    sys.exit(main())
