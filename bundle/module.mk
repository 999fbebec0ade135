# SPDX-License-Identifier: ISC
PKGS += zlib liblzma libzstd
LIBS += -lbz2
