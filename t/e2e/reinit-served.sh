#!/bin/bash
# A graph that is served and made anew by another process: for a moment 503, then the new graph, its schema and its rows; no worker is restarted.
. "${srcdir:-.}/t/e2e/lib.sh"

new_graph "$tmp/g"
serve "$tmp/g" --workers 2
expect 200 POST /mutate "$(add_person old)"
expect 200 POST /query "$all_people"
has '"row_count":1'
workers=$(pid_of worker.0)\ $(pid_of worker.1)
printf 'node Person { name: String @key  extra: String? }\n' >"$tmp/new.pg"
"$cli" init --force --schema "$tmp/new.pg" "$tmp/g" >"$tmp/init" 2>&1 || fail "init --force: $(cat "$tmp/init")"

# --- never the old rows again, on any connection; nothing worse than 503
new_rows() {
	answers 200 POST /query "$all_people" && return 0
	[ "$code" = 503 ] || fail "$code: $(answer)"
	return 1
}
until_ok 30 new_rows || fail "the new graph is not served: $code"
for _ in 1 2 3 4 5 6 7 8; do
	until_ok 30 new_rows || fail "the new graph is not served: $code"
	has '"row_count":0'
done
expect 200 GET /schema
has 'extra'
expect 200 POST /mutate '{"query":"query m() { insert Person { name: \"new\", extra: \"x\" } }"}'
for _ in 1 2 3 4; do
	expect 200 POST /query '{"query":"query q() { match { $p: Person } return { $p.extra } }"}'
	has '"rows":[{"p.extra":"x"}]'
done
check_log 'graph.ended'
[ "$workers" = "$(pid_of worker.0) $(pid_of worker.1)" ] || fail "workers were restarted too"
stop
verified "$tmp/g"
echo "all good"
