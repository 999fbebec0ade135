# SPDX-License-Identifier: ISC
PKGS += libssl libcrypto libevent_core jansson smartcols libqrencode
