#!/bin/bash
# og-master killed under load: its children leave, the port is free again, and a restart serves everything acknowledged.
. "${srcdir:-.}/t/e2e/lib.sh"

new_graph "$tmp/g"
serve "$tmp/g" --workers 2
for round in 1 2; do
	start_writers "a$round" "b$round" "c$round"
	until_ok 20 more_acked 100 || fail "no load"
	kids=$(children)
	kill -9 "$server"
	wait "$server" 2>/dev/null
	server=
	stop_writers
	until_ok 10 all_gone "$kids" || fail "children stay behind: $(ps -o pid,args $kids)"
	# The same port, at once.
	bind=${url#http://}
	serve "$tmp/g" --workers 2
	none_lost
done
expect 200 POST /mutate "$(add_person after)"
stop
verified "$tmp/g"

# --- all of them at once, as when the machine's memory ends
serve "$tmp/g" --workers 2
start_writers a3 b3 c3
until_ok 20 more_acked 100 || fail "no load"
kids=$(children)
# shellcheck disable=SC2086
kill -9 "$server" $kids
wait "$server" 2>/dev/null
server=
stop_writers
until_ok 10 all_gone "$kids" || fail "children stay behind"
serve "$tmp/g" --workers 2
none_lost
stop
verified "$tmp/g"
echo "all good"
