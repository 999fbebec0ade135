# SPDX-License-Identifier: ISC
LIBS += -ldb
