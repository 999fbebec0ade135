# SPDX-License-Identifier: ISC
# Needs nothing but base, smtp and, for mail, bundle.
# libm: the model behind frame sizes and error correction.
LIBS += -lm
# libcurl: the ways to a mail provider (TLS, SASL, SOCKS5); `mail` alone.
PKGS += libcurl
# libgsasl: SCRAM, which the libcurl of Debian 12 does without; `mail` alone.
PKGS += libgsasl
