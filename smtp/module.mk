# SPDX-License-Identifier: ISC
# Needs nothing but base.
