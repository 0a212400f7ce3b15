#!/bin/bash
# A query's limits of time and memory over HTTP, a client that goes away, and what others notice of them: nothing.
. "${srcdir:-.}/t/e2e/lib.sh"

new_graph "$tmp/g"
awk 'BEGIN {
	for (i = 0; i < 40000; i++) printf "{\"type\":\"Person\",\"data\":{\"name\":\"n%d\",\"age\":%d}}\n", i, i % 90
	for (i = 0; i < 160000; i++) printf "{\"edge\":\"Knows\",\"from\":\"n%d\",\"to\":\"n%d\",\"data\":{}}\n", (i * 7919) % 40000, (i * 104729 + int(i / 40000)) % 40000
}' >"$tmp/rows.jsonl"
"$cli" load --data "$tmp/rows.jsonl" --mode append "$tmp/g" >"$tmp/cli" 2>&1 || fail "load: $(cat "$tmp/cli")"
endless='{"query":"query a() { match { $p: Person  $p knows{1,40} $q  $q.age > 3 } return { $q.name, count($p) as n } }"}'
one='{"query":"query one() { match { $p: Person { name: \"n5\" } } return { $p.name } }"}'

# --- time: 504, while point reads on the same worker go on
serve "$tmp/g" --workers 1 --query-timeout 1 --query-memory 1000000
curl -s -m 60 -o "$tmp/slow.body" -w '%{http_code}' -H 'Content-Type: application/json' -d "$endless" "$url/query" >"$tmp/slow.code" &
slow=$!
for _ in $(seq 20); do
	expect 200 POST /query "$one"
	expect 200 GET /healthz
done
wait $slow
[ "$(cat "$tmp/slow.code")" = 504 ] || fail "an endless query: $(cat "$tmp/slow.code" "$tmp/slow.body")"
grep -q '"error":"query exceeded its time limit of 1 s"' "$tmp/slow.body" || fail "$(cat "$tmp/slow.body")"
grep -q '"code"' "$tmp/slow.body" && fail "504 has no code: $(cat "$tmp/slow.body")"

# --- memory: 413 with the limit; the worker lives
expect 413 POST /query '{"query":"query all() { match { $p: Person } return { $p.name, $p.age } }"}'
has '"resource_limit":{"resource":"query_memory_bytes","limit":1000000,"actual":'
has '"code":"bad_request"'
expect 200 POST /query "$one"
stop

# --- the client goes: so does its query, and the server need not wait for it
serve "$tmp/g" --workers 1 --query-timeout 600 --drain-timeout 600
curl -s -m 1 -o /dev/null -H 'Content-Type: application/json' -d "$endless" "$url/query"
[ $? -eq 28 ] || fail "the endless query ended within a second"
expect 200 POST /query "$one"
stop
echo "all good"
