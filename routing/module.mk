# SPDX-License-Identifier: ISC
# Needs base, and the addresses of smtp.
