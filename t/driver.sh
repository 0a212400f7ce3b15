#!/bin/sh
# What runs each test under `make check`: automake's own driver, which is told by the first word; besides, the test's .trs says how long it took:
#   :seconds: WALL CPU     CPU: of the test and of all that it started and waited for (what runs on in a session of its own is not in it)
driver=$1
shift
trs=
last=
for word; do
	[ "$last" != --trs-file ] || trs=$word
	last=$word
done
begin=$(date +%s.%N)
sh "$driver" "$@"
rc=$?
# `times` prints minutes and seconds, the second line those of what has been waited for: 0m1.23s 0m0.45s
{ echo "$begin $(date +%s.%N)"; times; } >"$trs.times"
[ ! -f "$trs" ] || tr 'ms' '  ' <"$trs.times" |
	awk 'NR == 1 { wall = $2 - $1 } NR == 3 { printf ":seconds: %.1f %.1f\n", wall, $1 * 60 + $2 + $3 * 60 + $4 }' >>"$trs"
rm -f "$trs.times"
exit $rc
