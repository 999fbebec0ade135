/* SPDX-License-Identifier: ISC */
#ifndef NODE_CONF_NET_H
#define NODE_CONF_NET_H
/*
 * Network addresses as the configuration writes them: "192.0.2.1:25",
 * "[2001:db8::1]:25", "unix:/path".  Names are not looked up.
 */
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "node/conf.h"

struct conf_endpoint {
	socklen_t len;
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} at;
};

/* "localhost" is 127.0.0.1; an IPv4 address in IPv6 is made one of IPv4. */
int conf_endpoint_parse(const char *text, struct conf_endpoint *end_out,
    struct err *e) MUST_CHECK;
/* Does one who connects to `to` reach a listener at `at`? An address that
 * stands for any is compared with the addresses of this machine. */
bool conf_endpoint_reaches(const struct conf_endpoint *to,
    const struct conf_endpoint *at);
/* One item of an allow list. */
int conf_net_parse(const char *text, struct conf_net *net_out, struct err *e)
    MUST_CHECK;
/* Is this fingerprint in an allow list? */
bool conf_net_match_cert(const struct conf_net *net, size_t n,
    const unsigned char digest[32]);
/* SHA-256 in hexadecimal, with colons or without. */
int conf_fingerprint_parse(const char *text, unsigned char digest_out[32],
    struct err *e) MUST_CHECK;
/* A path that fits into a sockaddr_un, with its NUL. */
int conf_socket_path_check(const char *path, struct err *e) MUST_CHECK;

#endif
