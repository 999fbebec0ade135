#!/bin/sh
# SPDX-License-Identifier: ISC
# sftp.sh send HOST FILE NAME: into in/ of the account at HOST, by rename
# sftp.sh fetch HOST DIR: what lies in out/ there, and then no more
how=$1 host=$2 dir=$3
do_there() { printf '@%s\n' "$@" | sftp -q -b - "$host"; }
case $how in
send)
	do_there "put -f \"$3\" in/.$4" "rename in/.$4 in/$4" ;;
fetch)
	names=$(do_there "ls -1 out") || exit
	for name in $names; do
		name=${name#out/}
		case $name in .* | *[!a-z0-9.-]*) continue ;; esac
		do_there "get -f out/$name \"$dir/.$name\"" &&
			mv "$dir/.$name" "$dir/$name" && sync "$dir" &&
			do_there "rm out/$name" || exit
	done ;;
esac
