#!/bin/sh
# SPDX-License-Identifier: ISC
# s3.sh CURLRC URL PREFIX DIR: fetches the objects of a bucket whose keys
# begin with PREFIX, which ends in a slash, and then deletes them there
curlrc=$1 url=$2 prefix=$3 dir=$4
get() { curl -sSf -K "$curlrc" "$@"; }
list=$(get "$url/?list-type=2&prefix=${prefix%/}%2F") || exit
for name in $(printf '%s' "$list" | tr '<' '\n' |
    sed -n "s|^Key>$prefix\([a-z0-9][a-z0-9.-]*\)$|\1|p"); do
	get -o "$dir/.$name" "$url/$prefix$name" && sync "$dir/.$name" &&
		mv "$dir/.$name" "$dir/$name" && sync "$dir" &&
		get -X DELETE "$url/$prefix$name" || exit
done
