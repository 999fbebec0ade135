#!/bin/sh
# SPDX-License-Identifier: ISC
# scp.sh HOST FILE NAME: into in/ of the account at HOST, by rename
scp -q -- "$2" "$1:in/.$3" &&
	ssh -n "$1" "sync in/.$3 && mv in/.$3 in/$3 && sync in"
