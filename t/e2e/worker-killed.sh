#!/bin/bash
# A worker killed under load costs its own requests and nothing else; the builder's end costs nobody anything.
. "${srcdir:-.}/t/e2e/lib.sh"

new_graph "$tmp/g"
serve "$tmp/g" --workers 2
start_writers a b c d
until_ok 20 more_acked 50 || fail "no load"
for name in worker.0 worker.1 builder worker.0; do
	old=$(pid_of $name)
	kill -9 "$old"
	until_ok 20 replaced $name "$old" || fail "$name is not started again"
	check_log "child.exit child=$name role=${name%.*} pid=$old signal=9"
	until_ok 20 more_acked 50 || fail "no write gets through after the end of $name"
done
stop_writers
# Both workers show the same rows, also the one that made none of them.
for _ in 1 2 3 4 5 6; do none_lost; done
stop
verified "$tmp/g"
echo "all good"
