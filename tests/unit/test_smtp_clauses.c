/* SPDX-License-Identifier: ISC */
/*
 * The server, RFC by RFC and clause by clause.  A row is a dialogue and the
 * code of each reply, with the enhanced status where it is a refusal; words
 * are the server's own business (test_server.c looks at those).  EHLO comes
 * before every row but those that say otherwise by a leading "!".  Each row is
 * played in one piece and octet by octet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "smtp/address.h"
#include "smtp/extension.h"
#include "smtp/server.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define X10 "xxxxxxxxxx"
#define X60 X10 X10 X10 X10 X10 X10
#define L63 X60 "xxx"
#define D253 L63 "." L63 "." L63 "." X60 "x"
#define F "MAIL FROM:<a@b.example>\r\n"
#define T "RCPT TO:<c@d.example>\r\n"
#define FT F T
#define DATA "DATA\r\nhi\r\n.\r\n"

struct row {
	const char *clause, *send, *codes;
};

static const struct row rows[] = {
	/* RFC 5321 */
	{ "5321 2.4 verbs without regard to case", "mail from:<a@b.example>\r\n"
	    "Rcpt To:<c@d.example>\r\ndata\r\n.\r\nqUiT\r\n",
	    "250 250 354 250 221" },
	{ "5321 2.4 keywords without regard to case",
	    "MAIL FROM:<a@b.example> size=1 Body=7bit\r\n", "250" },
	{ "5321 2.4 local parts keep theirs", "MAIL FROM:<A@b.example>\r\n",
	    "250" },
	{ "5321 3.3 MAIL, RCPT, DATA", FT DATA, "250 250 354 250" },
	{ "5321 3.3 several messages", FT DATA FT DATA,
	    "250 250 354 250 250 250 354 250" },
	{ "5321 3.3 several recipients", FT T T DATA,
	    "250 250 250 250 354 250" },
	{ "5321 3.3 RCPT needs MAIL", T, "503/5.5.1" },
	{ "5321 3.3 DATA needs MAIL", "DATA\r\n", "503/5.5.1" },
	{ "5321 3.3 DATA needs RCPT", F "DATA\r\nRSET\r\n",
	    "250 503/5.5.1 250" },
	{ "5321 3.3 a refused recipient spoils no other",
	    F "RCPT TO:<nobody@d.example>\r\n" T DATA,
	    "250 550/5.1.1 250 354 250" },
	{ "5321 3.3 none left", F "RCPT TO:<nobody@d.example>\r\nDATA\r\n"
	    "RSET\r\n", "250 550/5.1.1 554/5.5.1 250" },
	{ "5321 3.3 blanks behind the colon are taken as Postfix does",
	    "MAIL FROM: <a@b.example>\r\nRCPT TO: <c@d.example>\r\n",
	    "250 250" },
	{ "5321 3.5.3 VRFY tells nothing", "VRFY postmaster\r\n", "252" },
	{ "5321 3.6.1 source routes are taken", "MAIL FROM:<@x.example,"
	    "@y.example:a@b.example>\r\nRCPT TO:<@x.example:c@d.example>\r\n",
	    "250 250" },
	{ "5321 3.8 QUIT from anywhere", FT "QUIT\r\n", "250 250 221" },
	{ "5321 4.1.1 no blank before the verb's end", "MAILFROM:<>\r\n",
	    "500/5.5.2" },
	{ "5321 4.1.1 blanks at the end of a command", "NOOP  \r\nRSET \r\n",
	    "250 250" },
	{ "5321 4.1.1 a command not known", "XYZZY\r\n", "500/5.5.2" },
	{ "5321 4.1.1 an empty line", "\r\n", "500/5.5.2" },
	{ "5321 4.1.1.1 HELO", "!HELO c.example\r\n" FT DATA,
	    "250 250 250 354 250" },
	{ "5321 4.1.1.1 no name", "!HELO\r\nEHLO\r\n",
	    "501/5.5.4 501/5.5.4" },
	{ "5321 4.1.1.1 address literals", "!EHLO [192.0.2.1]\r\n"
	    "EHLO [IPv6:2001:db8::1]\r\n", "250 250" },
	{ "5321 4.1.1.1 EHLO again, as a RSET", FT "EHLO c.example\r\n" T,
	    "250 250 250 503/5.5.1" },
	{ "5321 4.1.1.2 the null reverse-path", "MAIL FROM:<>\r\n", "250" },
	{ "5321 4.1.1.2 no path", "MAIL\r\nMAIL FROM:\r\n",
	    "501/5.5.4 501/5.1.7" },
	{ "5321 4.1.1.2 no colon", "MAIL FROM <a@b.example>\r\n",
	    "501/5.5.4" },
	{ "5321 4.1.1.2 not closed", "MAIL FROM:<a@b.example\r\n",
	    "501/5.1.7" },
	{ "5321 4.1.1.2 no brackets", "MAIL FROM:a@b.example\r\n",
	    "501/5.1.7" },
	{ "5321 4.1.1.2 rubbish behind the path",
	    "MAIL FROM:<a@b.example>x\r\n", "501/5.5.4" },
	{ "5321 4.1.1.2 MAIL is not nested", F F, "250 503/5.5.1" },
	{ "5321 4.1.1.3 postmaster without a domain",
	    F "RCPT TO:<Postmaster>\r\nRCPT TO:<postmaster>\r\n",
	    "250 250 250" },
	{ "5321 4.1.1.3 the null path is no recipient", F "RCPT TO:<>\r\n",
	    "250 501/5.1.3" },
	{ "5321 4.1.1.3 a local part alone", F "RCPT TO:<c>\r\n",
	    "250 501/5.1.3" },
	{ "5321 4.1.1.3 no path", F "RCPT\r\nRCPT TO:\r\n",
	    "250 501/5.5.4 501/5.1.3" },
	{ "5321 4.1.1.4 DATA has no argument", FT "DATA x\r\n",
	    "250 250 501/5.5.4" },
	{ "5321 4.1.1.4 empty content", FT "DATA\r\n.\r\n",
	    "250 250 354 250" },
	{ "5321 4.1.1.4 CR LF . CR LF alone ends it", FT "DATA\r\n.x\r\n"
	    ". \r\n..\r\n.\r\nNOOP\r\n", "250 250 354 250 250" },
	{ "5321 4.1.1.5 RSET before all", "!RSET\r\n", "250" },
	{ "5321 4.1.1.5 RSET forgets the transaction", FT "RSET\r\nDATA\r\n",
	    "250 250 250 503/5.5.1" },
	{ "5321 4.1.1.5 RSET does not forget EHLO", "RSET\r\n" F, "250 250" },
	{ "5321 4.1.1.5 RSET has no argument", "RSET x\r\n", "501/5.5.4" },
	{ "5321 4.1.1.6 VRFY needs one", "VRFY\r\n", "501/5.5.4" },
	{ "5321 4.1.1.7 EXPN is not offered", "EXPN list\r\n", "502/5.5.1" },
	{ "5321 4.1.1.8 HELP", "HELP\r\nHELP MAIL\r\n", "214 214" },
	{ "5321 4.1.1.9 NOOP, its argument passed over",
	    "!NOOP\r\nNOOP a b c\r\n", "250 250" },
	{ "5321 4.1.1.9 NOOP inside a transaction", F "NOOP\r\n" T "NOOP\r\n"
	    DATA, "250 250 250 250 354 250" },
	{ "5321 4.1.1.10 QUIT has no argument", "QUIT x\r\nQUIT\r\n",
	    "501/5.5.4 221" },
	{ "5321 4.1.1.10 QUIT before all", "!QUIT\r\n", "221" },
	{ "5321 4.1.1.11 a parameter not known", "MAIL FROM:<a@b.example> "
	    "X=1\r\n" F "RCPT TO:<c@d.example> X\r\n",
	    "555/5.5.4 250 555/5.5.4" },
	{ "5321 4.1.1.11 a parameter that belongs elsewhere",
	    "MAIL FROM:<a@b.example> NOTIFY=NEVER\r\n" F
	    "RCPT TO:<c@d.example> SIZE=1\r\n", "555/5.5.4 250 555/5.5.4" },
	{ "5321 4.1.1.11 malformed", "MAIL FROM:<a@b.example> =1\r\n"
	    "MAIL FROM:<a@b.example> SIZE=\r\n", "501/5.5.4 501/5.5.4" },
	{ "5321 4.1.2 quoted local parts", "MAIL FROM:<\"a b\"@b.example>\r\n"
	    "RCPT TO:<\"a\\\"@<>\"@d.example>\r\n", "250 250" },
	{ "5321 4.1.2 a quoted string not closed",
	    "MAIL FROM:<\"a b@b.example>\r\n", "501/5.1.7" },
	{ "5321 4.1.2 every atext", "MAIL FROM:<!#$%&'*+-/=?^_`{|}~@"
	    "b.example>\r\n", "250" },
	{ "5321 4.1.2 dots in the local part", "MAIL FROM:<a.b.c@d.example>"
	    "\r\nRSET\r\nMAIL FROM:<.a@d.example>\r\nMAIL FROM:<a.@d.example>"
	    "\r\nMAIL FROM:<a..b@d.example>\r\n",
	    "250 250 501/5.1.7 501/5.1.7 501/5.1.7" },
	{ "5321 4.1.2 a blank in the path", "MAIL FROM:<a b@c.example>\r\n",
	    "501/5.1.7" },
	{ "5321 4.1.2 two paths", F "RCPT TO:<c@d.example><e@f.example>\r\n",
	    "250 501/5.5.4" },
	{ "5321 4.1.2 domains", "MAIL FROM:<a@b-c.9.example>\r\nRSET\r\n"
	    "MAIL FROM:<a@-b.example>\r\nMAIL FROM:<a@b..example>\r\n"
	    "MAIL FROM:<a@>\r\n",
	    "250 250 501/5.1.7 501/5.1.7 501/5.1.7" },
	{ "5321 4.1.3 IPv4", "MAIL FROM:<a@[192.0.2.1]>\r\nRSET\r\n"
	    "MAIL FROM:<a@[192.0.2.256]>\r\nMAIL FROM:<a@[192.0.2]>\r\n",
	    "250 250 501/5.1.7 501/5.1.7" },
	{ "5321 4.1.3 IPv6", "MAIL FROM:<a@[IPv6:2001:db8::1]>\r\nRSET\r\n"
	    "MAIL FROM:<a@[IPv6:2001:db8::1::2]>\r\n",
	    "250 250 501/5.1.7" },
	{ "5321 4.1.4 nothing before a greeting", "!" FT "DATA\r\n",
	    "503/5.5.1 503/5.5.1 503/5.5.1" },
	{ "5321 4.5.1 the least there must be", "!EHLO c.example\r\n"
	    "HELO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<postmaster>\r\n"
	    "DATA\r\n.\r\nRSET\r\nNOOP\r\nVRFY x\r\nQUIT\r\n",
	    "250 250 250 250 354 250 250 250 252 221" },
	{ "5321 4.5.3.1.1 local part of 64", "MAIL FROM:<" X60 "xxxx"
	    "@b.example>\r\n", "250" },
	{ "5321 4.5.3.1.1 more of it is taken as Postfix does",
	    "MAIL FROM:<" X60 "xxxxx@b.example>\r\nRCPT TO:<" X60 X60 X60 X60
	    "xxxx@d.example>\r\nRCPT TO:<" X60 X60 X60 X60
	    "xxxxxx@d.example>\r\n", "250 250 501/5.1.3" },
	{ "5321 4.5.3.1.2, 3 domain and path", F "RCPT TO:<a@" L63 "." L63 "."
	    L63 ".x>\r\nRCPT TO:<aaa@" D253 "." L63 ">\r\n",
	    "250 250 501/5.1.3" },
	{ "5321 7.9 what is refused for policy", F
	    "RCPT TO:<nobody@d.example>\r\n", "250 550/5.1.1" },
	{ "5321 F SEND, SOML, SAML, TURN are gone", "SEND FROM:<a@b.example>"
	    "\r\nSOML FROM:<a@b.example>\r\nSAML FROM:<a@b.example>\r\n"
	    "TURN\r\n", "502/5.5.1 502/5.5.1 502/5.5.1 502/5.5.1" },
	/* RFC 1870 */
	{ "1870 5 SIZE up to 20 digits", "MAIL FROM:<> SIZE=0\r\nRSET\r\n"
	    "MAIL FROM:<> SIZE=100000000000000000000\r\n",
	    "250 250 501/5.5.4" },
	{ "1870 5 20 digits are a size, if a large one",
	    "MAIL FROM:<> SIZE=99999999999999999999\r\n", "552/5.3.4" },
	{ "1870 6.1 too large by declaration", "MAIL FROM:<> SIZE=2001\r\n"
	    "MAIL FROM:<> SIZE=2000\r\n", "552/5.3.4 250" },
	{ "1870 6.1 not a number", "MAIL FROM:<> SIZE=1k\r\n", "501/5.5.4" },
	{ "1870 6.3 declared less than came", "MAIL FROM:<> SIZE=1\r\n" T
	    DATA, "250 250 354 250" },
	/* RFC 2034, by way of every refusal of this table; RFC 2920 */
	{ "2920 3.1 all in one packet", FT T "DATA\r\nhi\r\n.\r\n" FT DATA
	    "QUIT\r\n", "250 250 250 354 250 250 250 354 250 221" },
	{ "2920 3.2 behind a refused MAIL each has its reply",
	    "MAIL FROM:<nobody@b.example>\r\n" T "DATA\r\nNOOP\r\n",
	    "550/5.1.1 503/5.5.1 503/5.5.1 250" },
	/* RFC 3030 */
	{ "3030 2 BDAT in one chunk", FT "BDAT 4 LAST\r\nhi\r\nNOOP\r\n",
	    "250 250 250 250" },
	{ "3030 2 in several, the last one empty", FT
	    "BDAT 2\r\nhiBDAT 2\r\n\r\nBDAT 0 LAST\r\n",
	    "250 250 250 250 250" },
	{ "3030 2 what looks like commands is content", FT
	    "BDAT 6\r\nQUIT\r\nBDAT 5 LAST\r\n\r\n.\r\nNOOP\r\n",
	    "250 250 250 250 250" },
	{ "3030 2 RSET between chunks", FT "BDAT 2\r\nhiRSET\r\n" F,
	    "250 250 250 250 250" },
	{ "3030 2 not without MAIL, and the chunk is passed over",
	    "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", "503/5.5.1 250" },
	{ "3030 2 not without RCPT", F "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
	    "250 503/5.5.1 250" },
	{ "3030 2 too large", FT "BDAT 2001 LAST\r\n" X60 "\r\n",
	    "250 250" },
	{ "3030 2 no size, and no telling what follows",
	    FT "BDAT LAST\r\nNOOP\r\n", "250 250 501/5.5.4" },
	{ "3030 3 BINARYMIME goes by BDAT alone",
	    "MAIL FROM:<> BODY=BINARYMIME\r\n" T "DATA\r\n"
	    "BDAT 3 LAST\r\na\rb", "250 250 503/5.5.1 250" },
	{ "3030 3 DATA not behind BDAT", FT "BDAT 2\r\nhiDATA\r\n",
	    "250 250 250 503/5.5.1" },
	/* RFC 6152 */
	{ "6152 2 BODY", "MAIL FROM:<> BODY=7BIT\r\nRSET\r\n"
	    "MAIL FROM:<> BODY=8BITMIME\r\n" T "DATA\r\n\xe4\r\n.\r\n",
	    "250 250 250 250 354 250" },
	{ "6152 2 another BODY", "MAIL FROM:<> BODY=16BIT\r\n"
	    "MAIL FROM:<> BODY=\r\nMAIL FROM:<> BODY\r\n",
	    "501/5.5.4 501/5.5.4 501/5.5.4" },
	{ "6152 3 8-bit content is kept whatever was said", FT
	    "DATA\r\n\xe4\r\n.\r\n", "250 250 354 250" },
	/* RFC 3461 */
	{ "3461 4.1 NOTIFY", F "RCPT TO:<c@d.example> NOTIFY=NEVER\r\n"
	    "RCPT TO:<c@d.example> NOTIFY=SUCCESS,FAILURE,DELAY\r\n"
	    "RCPT TO:<c@d.example> notify=delay\r\n", "250 250 250 250" },
	{ "3461 4.1 NEVER stands alone", F
	    "RCPT TO:<c@d.example> NOTIFY=NEVER,FAILURE\r\n"
	    "RCPT TO:<c@d.example> NOTIFY=SUCCESS,NEVER\r\n",
	    "250 501/5.5.4 501/5.5.4" },
	{ "3461 4.1 no other word, and not none", F
	    "RCPT TO:<c@d.example> NOTIFY=ALWAYS\r\n"
	    "RCPT TO:<c@d.example> NOTIFY=\r\n"
	    "RCPT TO:<c@d.example> NOTIFY=DELAY,\r\n",
	    "250 501/5.5.4 501/5.5.4 501/5.5.4" },
	{ "3461 4.1 not twice", F
	    "RCPT TO:<c@d.example> NOTIFY=DELAY NOTIFY=DELAY\r\n",
	    "250 501/5.5.4" },
	{ "3461 4.2 ORCPT", F "RCPT TO:<c@d.example> "
	    "ORCPT=rfc822;e+2Bf@g.example\r\n"
	    "RCPT TO:<c@d.example> ORCPT=x400;/S+3Da/\r\n", "250 250 250" },
	{ "3461 4.2 no type, no address", F
	    "RCPT TO:<c@d.example> ORCPT=;a@b\r\n"
	    "RCPT TO:<c@d.example> ORCPT=rfc822;\r\n"
	    "RCPT TO:<c@d.example> ORCPT=a@b\r\n",
	    "250 501/5.5.4 501/5.5.4 501/5.5.4" },
	{ "3461 4.2, 4 xtext is upper case and printable", F
	    "RCPT TO:<c@d.example> ORCPT=rfc822;a+2b\r\n"
	    "RCPT TO:<c@d.example> ORCPT=rfc822;a+\r\n"
	    "RCPT TO:<c@d.example> ORCPT=rfc822;a=b\r\n",
	    "250 501/5.5.4 501/5.5.4 501/5.5.4" },
	{ "3461 4.3 RET", "MAIL FROM:<> RET=FULL\r\nRSET\r\n"
	    "MAIL FROM:<> ret=hdrs\r\nRSET\r\nMAIL FROM:<> RET=BODY\r\n"
	    "MAIL FROM:<> RET=\r\n", "250 250 250 250 501/5.5.4 501/5.5.4" },
	{ "3461 4.4 ENVID", "MAIL FROM:<> ENVID=a+3Db\r\nRSET\r\n"
	    "MAIL FROM:<> ENVID=\r\nMAIL FROM:<> ENVID=a+3\r\n",
	    "250 250 501/5.5.4 501/5.5.4" },
	{ "3461 4.4 at most 100", "MAIL FROM:<> ENVID=" X60 X10 X10 X10 X10
	    "\r\nRSET\r\nMAIL FROM:<> ENVID=" X60 X10 X10 X10 X10 "x\r\n",
	    "250 250 501/5.5.4" },
	/* RFC 6710 */
	{ "6710 4.1 MT-PRIORITY", "MAIL FROM:<> MT-PRIORITY=3\r\nRSET\r\n"
	    "MAIL FROM:<> mt-priority=-9\r\nRSET\r\n"
	    "MAIL FROM:<> MT-PRIORITY=0\r\n", "250 250 250 250 250" },
	{ "6710 4.1 one digit, and no sign but minus",
	    "MAIL FROM:<> MT-PRIORITY=10\r\nMAIL FROM:<> MT-PRIORITY=+1\r\n"
	    "MAIL FROM:<> MT-PRIORITY=-0\r\nMAIL FROM:<> MT-PRIORITY=\r\n"
	    "MAIL FROM:<> MT-PRIORITY\r\n",
	    "501/5.5.4 501/5.5.4 501/5.5.4 501/5.5.4 501/5.5.4" },
	{ "6710 4.1 once", "MAIL FROM:<> MT-PRIORITY=1 MT-PRIORITY=1\r\n",
	    "501/5.5.4" },
	/* RFC 2852 */
	{ "2852 4 BY", "MAIL FROM:<> BY=120;R\r\nRSET\r\n"
	    "MAIL FROM:<> BY=-5;n\r\nRSET\r\nMAIL FROM:<> by=0;NT\r\nRSET\r\n"
	    "MAIL FROM:<> BY=+999999999;RT\r\n",
	    "250 250 250 250 250 250 250" },
	{ "2852 4 R needs time to come", "MAIL FROM:<> BY=0;R\r\n"
	    "MAIL FROM:<> BY=-1;R\r\n", "501/5.5.4 501/5.5.4" },
	{ "2852 4 nine digits and a mode", "MAIL FROM:<> BY=1234567890;N\r\n"
	    "MAIL FROM:<> BY=1\r\nMAIL FROM:<> BY=1;X\r\n"
	    "MAIL FROM:<> BY=;N\r\nMAIL FROM:<> BY=1;NTT\r\n",
	    "501/5.5.4 501/5.5.4 501/5.5.4 501/5.5.4 501/5.5.4" },
	/* RFC 4865 */
	{ "4865 4 HOLDFOR", "MAIL FROM:<> HOLDFOR=0000060\r\nRSET\r\n"
	    "MAIL FROM:<> HOLDFOR=1000\r\n", "250 250 250" },
	{ "4865 4 HOLDUNTIL", "MAIL FROM:<> "
	    "HOLDUNTIL=2026-11-22T10:00:00Z\r\nRSET\r\n"
	    "MAIL FROM:<> HOLDUNTIL=2026-11-22T11:00:00+01:00\r\n",
	    "250 250 250" },
	{ "4865 5 longer than offered", "MAIL FROM:<> HOLDFOR=1001\r\n"
	    "MAIL FROM:<> HOLDUNTIL=2200-01-01T00:00:00Z\r\n",
	    "501/5.5.4 501/5.5.4" },
	{ "4865 4 one of them, once",
	    "MAIL FROM:<> HOLDFOR=1 HOLDUNTIL=2026-11-22T10:00:00Z\r\n"
	    "MAIL FROM:<> HOLDFOR=1 HOLDFOR=1\r\n", "501/5.5.4 501/5.5.4" },
	{ "4865 4 malformed", "MAIL FROM:<> HOLDFOR=x\r\n"
	    "MAIL FROM:<> HOLDUNTIL=2026-13-01T00:00:00Z\r\n"
	    "MAIL FROM:<> HOLDUNTIL=now\r\n",
	    "501/5.5.4 501/5.5.4 501/5.5.4" },
	/* RFC 6531 */
	{ "6531 3.4 SMTPUTF8", "MAIL FROM:<d\xc3\xb6@b.example> SMTPUTF8\r\n"
	    "RCPT TO:<\xc3\xa9@\xc3\xbc.example>\r\n" DATA,
	    "250 250 354 250" },
	{ "6531 3.4 it has no value", "MAIL FROM:<> SMTPUTF8=yes\r\n",
	    "501/5.5.4" },
	{ "6531 3.5 not without it", F "RCPT TO:<\xc3\xa9@d.example>\r\n",
	    "250 553/5.6.7" },
	{ "6531 3.3 UTF-8 and nothing else",
	    "MAIL FROM:<\xc3@b.example> SMTPUTF8\r\n"
	    "MAIL FROM:<\xed\xa0\x80@b.example> SMTPUTF8\r\n",
	    "501/5.1.7 501/5.1.7" },
	{ "6533 3 ORCPT of utf-8", "MAIL FROM:<> SMTPUTF8\r\n"
	    "RCPT TO:<c@d.example> ORCPT=utf-8;\\x{E9}@d.example\r\n"
	    "RCPT TO:<c@d.example> ORCPT=utf-8;\xc3\xa9@d.example\r\n",
	    "250 250 250" },
	/* RFC 2034 4 */
	{ "2034 4 not with EHLO's and DATA's replies", "!EHLO x\r\n" FT
	    "DATA\r\n.\r\n", "250 250 250 354 250" },
	/* RFC 3207, 4954: what is not offered */
	{ "4954 4 AUTH is not offered", "AUTH PLAIN\r\n", "503/5.5.1" },
	{ "4954 5 nor is its parameter", "MAIL FROM:<> AUTH=<>\r\n",
	    "555/5.5.4" },
};

static void
answer(struct smtp_server *s, const char *address)
{
	struct slice local = address_local(address);

	if (slice_eqs(local, "nobody"))
		smtp_server_answer(s, 550, "5.1.1", "no such user");
	else
		smtp_server_answer(s, 250, NULL, NULL);
}

static void
handle(struct smtp_server *s, const struct smtp_event *ev)
{
	const struct envelope *env = ev->envelope;

	if (ev->kind == SMTP_EVENT_MAIL)
		answer(s, env->sender);
	else if (ev->kind == SMTP_EVENT_RCPT)
		answer(s, env->rcpt[env->nrcpt - 1].address);
	else if (smtp_server_waiting(s))
		smtp_server_answer(s, 250, NULL, NULL);
}

static void
feed(struct smtp_server *s, const char *in, size_t len, size_t piece)
{
	struct smtp_event ev;
	size_t used;

	for (size_t at = 0; at < len; at += used) {
		size_t n = len - at < piece ? len - at : piece;

		while (smtp_server_next(s, in + at, n, &used, &ev) == 1) {
			handle(s, &ev);
			at += used;
			n -= used;
		}
		assert_int_equal(used, n);
	}
}

/* The last line of each reply: "250", or "550/5.1.1" of a refusal.  RFC 2034
 * 4: a status stands there and is of the code's class. */
static void
show_replies(struct buf *out, struct slice replies)
{
	while (replies.len > 0) {
		const char *nl = memchr(replies.ptr, '\n', replies.len);
		size_t n;

		assert_non_null(nl);
		n = (size_t)(nl + 1 - replies.ptr);
		assert_true(n > 5 && replies.ptr[n - 2] == '\r');
		if (replies.ptr[3] == ' ') {
			buf_adds(out, out->len > 0 ? " " : "");
			buf_add(out, replies.ptr, 3);
		}
		if (replies.ptr[3] == ' ' && *replies.ptr > '3') {
			assert_true(n > 11 && replies.ptr[4] == *replies.ptr);
			buf_addc(out, '/');
			buf_add(out, replies.ptr + 4, 5);
		}
		replies.ptr += n;
		replies.len -= n;
	}
}

static void
play(const struct row *row, const struct smtp_server_options *opts,
    size_t piece)
{
	static const char hello[] = "EHLO c.example\r\n";
	struct smtp_server *s = smtp_server_new(opts);
	struct buf *out = smtp_server_output(s), codes = BUF_INIT;
	const char *send = row->send;

	if (*send == '!')
		send++;
	else
		feed(s, hello, sizeof(hello) - 1, SIZE_MAX);
	buf_clear(out);
	feed(s, send, strlen(send), piece);
	show_replies(&codes, buf_slice(out));
	if (strcmp(buf_cstr(&codes), row->codes) != 0)
		fail_msg("RFC %s:\n%s\nnot\n%s\n%s", row->clause,
		    buf_cstr(&codes), row->codes, buf_cstr(out));
	smtp_server_free(s);
	buf_release(&codes);
}

static void
test_rows(void **state)
{
	struct smtp_server_options opts;

	(void)state;
	smtp_server_options_default(&opts);
	opts.hostname = "s.example";
	opts.extensions |= SMTP_EXT_BINARYMIME | SMTP_EXT_MT_PRIORITY |
	    SMTP_EXT_DELIVERBY | SMTP_EXT_FUTURERELEASE;
	opts.message_max = 2000;
	opts.hold_max_secs = 1000;
	opts.hold_until_max = 1800000000;	/* 2027-01-15 */
	for (size_t i = 0; i < COUNT(rows); i++) {
		play(&rows[i], &opts, SIZE_MAX);
		play(&rows[i], &opts, 1);
	}
}

static void
add_many(struct buf *in, const char *text, size_t n)
{
	while (n-- > 0)
		buf_adds(in, text);
}

/* RFC 5321 4.5.3.1: at least so much is taken. */
static void
test_limits(void **state)
{
	static const struct {
		const char *clause, *head, *many;
		size_t n;
		const char *tail, *codes;
	} limits[] = {
		{ "5321 4.5.3.1.4 a command of 512", "NOOP ", "x", 505,
		    "\r\n", "250" },
		{ "5321 4.5.3.1.6 a line of text of 1000", FT "DATA\r\n", "x",
		    998, "\r\n.\r\n", "250 250 354 250" },
		{ "5321 4.5.3.1.6 whose dot was doubled", FT "DATA\r\n..",
		    "x", 997, "\r\n.\r\n", "250 250 354 250" },
	};
	struct smtp_server_options opts;

	(void)state;
	smtp_server_options_default(&opts);
	for (size_t i = 0; i < COUNT(limits); i++) {
		struct buf in = BUF_INIT;
		struct row row = { limits[i].clause, NULL, limits[i].codes };

		buf_adds(&in, limits[i].head);
		add_many(&in, limits[i].many, limits[i].n);
		buf_adds(&in, limits[i].tail);
		row.send = buf_cstr(&in);
		play(&row, &opts, SIZE_MAX);
		play(&row, &opts, 1);
		buf_release(&in);
	}
}

/* RFC 5321 4.5.3.1.8: 100 recipients at least; 4.5.3.1.10: then 452. */
static void
test_recipients(void **state)
{
	struct smtp_server_options opts;
	struct buf in = BUF_INIT, codes = BUF_INIT;
	struct row row = { "5321 4.5.3.1.8, 10", NULL, NULL };

	(void)state;
	smtp_server_options_default(&opts);
	assert_true(opts.recipients_max >= 100);
	opts.recipients_max = 100;
	buf_adds(&in, F);
	add_many(&in, T, 101);
	buf_adds(&in, DATA);
	buf_adds(&codes, "250 ");
	add_many(&codes, "250 ", 100);
	buf_adds(&codes, "452/4.5.3 354 250");
	row.send = buf_cstr(&in);
	row.codes = buf_cstr(&codes);
	play(&row, &opts, SIZE_MAX);
	play(&row, &opts, 1);
	buf_release(&in);
	buf_release(&codes);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_recipients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
