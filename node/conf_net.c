/* SPDX-License-Identifier: ISC */
/*
 * Addresses are numbers here: a look-up could block the daemon's only thread,
 * and would make a configuration good on one day and bad on the next.
 */
#include "node/conf_net.h"

#include "base/mem.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <pwd.h>
#include <stdlib.h>

int
conf_socket_path_check(const char *path, struct err *e)
{
	size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

	if (path[0] != '/')
		return err_set(e, ERR_CONFIG, "%s: the path of a socket must "
		    "begin with /", path);
	if (strlen(path) > max)
		return err_set(e, ERR_LIMIT, "%s: the path of a UNIX socket "
		    "has at most %zu octets, not %zu", path, max,
		    strlen(path));
	return 0;
}

static int
parse_unix(const char *path, struct conf_endpoint *end, struct err *e)
{
	int rc = conf_socket_path_check(path, e);

	if (rc < 0)
		return rc;
	end->len = sizeof(end->at.un);
	end->at.un.sun_family = AF_UNIX;
	memcpy(end->at.un.sun_path, path, strlen(path) + 1);
	return 0;
}

static void
unmap(struct conf_endpoint *end)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	if (!IN6_IS_ADDR_V4MAPPED(&end->at.in6.sin6_addr))
		return;
	in.sin_port = end->at.in6.sin6_port;
	memcpy(&in.sin_addr, &end->at.in6.sin6_addr.s6_addr[12], 4);
	end->at.in = in;
	end->len = sizeof(in);
}

static int
parse_host(const char *host, uint16_t port, struct conf_endpoint *end)
{
	size_t len = strlen(host);
	char *inner;
	int rc;

	if (strcmp(host, "localhost") == 0)
		host = "127.0.0.1";
	if (host[0] != '[') {
		end->at.in.sin_family = AF_INET;
		end->at.in.sin_port = htons(port);
		end->len = sizeof(end->at.in);
		return inet_pton(AF_INET, host, &end->at.in.sin_addr);
	}
	if (host[len - 1] != ']')
		return 0;
	inner = mem_strndup(host + 1, len - 2);
	end->at.in6.sin6_family = AF_INET6;
	end->at.in6.sin6_port = htons(port);
	end->len = sizeof(end->at.in6);
	rc = inet_pton(AF_INET6, inner, &end->at.in6.sin6_addr);
	unmap(end);
	free(inner);
	return rc;
}

int
conf_endpoint_parse(const char *text, struct conf_endpoint *end_out,
    struct err *e)
{
	const char *colon = strrchr(text, ':');
	uint64_t port;
	char *host;
	int ok;

	memset(end_out, 0, sizeof(*end_out));
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(text + 5, end_out, e);
	if (colon == NULL || colon[1] == '0' ||
	    num_parse(slice_of(colon + 1), 65535, &port) < 0)
		return err_set(e, ERR_SYNTAX, "%s: a port from 1 to 65535 is "
		    "missing: write ADDRESS:PORT, [IPV6]:PORT or unix:/PATH",
		    text);
	host = mem_strndup(text, (size_t)(colon - text));
	ok = host[0] != '\0' ? parse_host(host, (uint16_t)port, end_out) : 0;
	free(host);
	if (ok == 1)
		return 0;
	return err_set(e, ERR_SYNTAX, "%s: write the address in numbers, an "
	    "IPv6 address in [ ]: names are not looked up", text);
}

static uint16_t
port_of(const struct conf_endpoint *end)
{
	return end->at.sa.sa_family == AF_INET ? end->at.in.sin_port :
	    end->at.in6.sin6_port;
}

/* Is it an address of the loopback or of any interface here? */
static bool
is_here(const struct conf_endpoint *end)
{
	struct ifaddrs *all = NULL, *ifa;
	bool found = false;

	if (end->at.sa.sa_family == AF_INET &&
	    ((ntohl(end->at.in.sin_addr.s_addr) >> 24) == 127 ||
	    end->at.in.sin_addr.s_addr == INADDR_ANY))
		return true;
	if (end->at.sa.sa_family == AF_INET6 &&
	    (IN6_IS_ADDR_LOOPBACK(&end->at.in6.sin6_addr) ||
	    IN6_IS_ADDR_UNSPECIFIED(&end->at.in6.sin6_addr)))
		return true;
	if (getifaddrs(&all) != 0)
		return false;
	for (ifa = all; ifa != NULL && !found; ifa = ifa->ifa_next) {
		struct conf_endpoint own;

		memset(&own, 0, sizeof(own));
		if (ifa->ifa_addr == NULL ||
		    ifa->ifa_addr->sa_family != end->at.sa.sa_family)
			continue;
		memcpy(&own.at, ifa->ifa_addr, end->len);
		found = end->at.sa.sa_family == AF_INET ?
		    own.at.in.sin_addr.s_addr == end->at.in.sin_addr.s_addr :
		    IN6_ARE_ADDR_EQUAL(&own.at.in6.sin6_addr,
		    &end->at.in6.sin6_addr);
	}
	freeifaddrs(all);
	return found;
}

bool
conf_endpoint_reaches(const struct conf_endpoint *to,
    const struct conf_endpoint *at)
{
	sa_family_t family = at->at.sa.sa_family;

	if (to->at.sa.sa_family == AF_UNIX || family == AF_UNIX)
		return to->at.sa.sa_family == family &&
		    strcmp(to->at.un.sun_path, at->at.un.sun_path) == 0;
	if (port_of(to) != port_of(at))
		return false;
	if (family == AF_INET6 &&
	    IN6_IS_ADDR_UNSPECIFIED(&at->at.in6.sin6_addr))
		return is_here(to);	/* of both families */
	if (to->at.sa.sa_family != family)
		return false;
	if (family == AF_INET6)
		return IN6_ARE_ADDR_EQUAL(&to->at.in6.sin6_addr,
		    &at->at.in6.sin6_addr);
	if (at->at.in.sin_addr.s_addr == INADDR_ANY)
		return is_here(to);
	return to->at.in.sin_addr.s_addr == at->at.in.sin_addr.s_addr;
}

static int
parse_net_unix(const char *who, struct conf_net *net, struct err *e)
{
	const struct passwd *pw;
	uint64_t uid;

	net->family = AF_UNIX;
	if (num_parse(slice_of(who), UINT32_MAX - 1, &uid) == 0) {
		net->uid = (uid_t)uid;
		return 0;
	}
	pw = getpwnam(who);
	if (pw == NULL)
		return err_set(e, ERR_NOT_FOUND, "unix:%s: there is no such "
		    "user here", who);
	net->uid = pw->pw_uid;
	return 0;
}

/* Are all bits behind the prefix zero? */
static bool
is_prefix(const unsigned char *addr, size_t octets, unsigned bits)
{
	unsigned i;

	for (i = bits; i < octets * 8; i++)
		if (addr[i / 8] & (0x80 >> (i % 8)))
			return false;
	return true;
}

int
conf_net_parse(const char *text, struct conf_net *net_out, struct err *e)
{
	const char *slash = strchr(text, '/');
	unsigned max;
	uint64_t bits;
	char *host;
	int ok;

	memset(net_out, 0, sizeof(*net_out));
	if (strcmp(text, "unix") == 0) {
		net_out->family = AF_UNIX;
		net_out->any_uid = true;
		return 0;
	}
	if (strncmp(text, "unix:", 5) == 0)
		return parse_net_unix(text + 5, net_out, e);
	if (strncmp(text, "cert:", 5) == 0) {
		net_out->family = AF_UNSPEC;
		return conf_fingerprint_parse(text + 5, net_out->cert, e);
	}
	net_out->family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	max = net_out->family == AF_INET ? 32 : 128;
	bits = max;
	host = slash != NULL ? mem_strndup(text, (size_t)(slash - text)) :
	    mem_strdup(text);
	ok = inet_pton(net_out->family, host, net_out->addr);
	free(host);
	if (ok != 1 || (slash != NULL && (num_parse(slice_of(slash + 1), max,
	    &bits) < 0 || (slash[1] == '0' && slash[2] != '\0'))))
		return err_set(e, ERR_SYNTAX, "%s: write ADDRESS, "
		    "ADDRESS/BITS, unix, unix:USER or cert:FINGERPRINT",
		    text);
	net_out->bits = (unsigned)bits;
	if (!is_prefix(net_out->addr, max / 8, net_out->bits))
		return err_set(e, ERR_SYNTAX, "%s: bits are set behind the "
		    "first %u", text, net_out->bits);
	return 0;
}

static bool
same_prefix(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned rest = bits % 8;

	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return rest == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - rest)) == 0;
}

bool
conf_net_match(const struct conf_net *net, size_t n, const void *addr,
    uid_t uid)
{
	struct conf_endpoint end = { .len = 0 };
	const unsigned char *octets = NULL;
	sa_family_t family;
	size_t i;

	memcpy(&family, (const char *)addr +
	    offsetof(struct sockaddr, sa_family), sizeof(family));
	if (family == AF_INET)
		memcpy(&end.at.in, addr, sizeof(end.at.in));
	if (family == AF_INET6) {
		memcpy(&end.at.in6, addr, sizeof(end.at.in6));
		unmap(&end);
		family = end.at.sa.sa_family;
	}
	if (family == AF_INET)
		octets = (const unsigned char *)&end.at.in.sin_addr;
	if (family == AF_INET6)
		octets = (const unsigned char *)&end.at.in6.sin6_addr;
	for (i = 0; i < n; i++) {
		if (net[i].family != family)
			continue;
		if (family == AF_UNIX ?
		    net[i].any_uid || net[i].uid == uid :
		    octets != NULL &&
		    same_prefix(net[i].addr, octets, net[i].bits))
			return true;
	}
	return false;
}

bool
conf_net_match_cert(const struct conf_net *net, size_t n,
    const unsigned char digest[32])
{
	size_t i;

	for (i = 0; i < n; i++)
		if (net[i].family == AF_UNSPEC &&
		    memcmp(net[i].cert, digest, sizeof(net[i].cert)) == 0)
			return true;
	return false;
}

static int
hex_value(char ch)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = memchr(digits, ascii_tolower(ch), 16);

	return at == NULL ? -1 : (int)(at - digits);
}

int
conf_fingerprint_parse(const char *text, unsigned char digest_out[32],
    struct err *e)
{
	const char *p = text;
	int high, low;
	size_t n;

	for (n = 0; n < 32; n++) {
		if (n > 0 && *p == ':')
			p++;
		high = hex_value(p[0]);
		low = high < 0 ? -1 : hex_value(p[1]);
		if (low < 0)
			break;
		digest_out[n] = (unsigned char)(high << 4 | low);
		p += 2;
	}
	if (n == 32 && *p == '\0')
		return 0;
	return err_set(e, ERR_SYNTAX, "a fingerprint is the SHA-256 of a "
	    "certificate: 64 hexadecimal digits, colons between them or not");
}
