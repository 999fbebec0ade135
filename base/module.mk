# SPDX-License-Identifier: ISC
PKGS += libsodium
