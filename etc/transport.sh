#!/bin/sh
# SPDX-License-Identifier: ISC
# A transport by postrider-transport(7) alone: directories that both sites
# reach.  Settings: to=DIR from=DIR
while [ $# -gt 1 ]; do
	case $1=$2 in
	--out=*) out=$2 ;;
	--in=*) in=$2 ;;
	--set=to=*) to=${2#to=} ;;
	--set=from=*) from=${2#from=} ;;
	--set=*) echo "unknown setting $2" >&2; exit 78 ;;
	esac; shift 2
done
# carry FILE DIR: whole and durable, or not at all
carry() { cp "$1" "$2/.$1" && sync "$2/.$1" &&
	mv "$2/.$1" "$2/$1" && sync "$2"; }
[ -d "$to" ] && [ -d "$from" ] && cd "$out" || exit 75
for f in *; do
	[ ! -f "$f" ] || { carry "$f" "$to" && echo "sent $f"; } || exit 75
done
cd "$from" && for f in *; do
	[ -f "$f" ] || continue
	carry "$f" "$in" && echo "received $f" && rm "$f" || exit 75
done
