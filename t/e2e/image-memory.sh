#!/bin/bash
# A graph several times larger than --image-memory: every answer is the one that a server with room for all of it gives, and what the images take, over all
# processes, stays within what omnigraph-server(8) says.
. "${srcdir:-.}/t/e2e/lib.sh"
clients=$srcdir/t/e2e/image_memory.py
command -v python3 >/dev/null || skip "no python3"
budget=4194304
limit=$((budget + budget / 2))

schema=$(
	for t in A B C D E F; do echo "node $t { key: String @key  text: String  n: I32  x: F64 }"; done
	for e in A:B B:C C:D D:E E:F F:A; do echo "edge ${e%:*}to${e#*:}: ${e%:*} -> ${e#*:} { w: I32 }"; done
)
new_graph "$tmp/g" "$schema"
python3 "$clients" rows >"$tmp/rows.jsonl" || fail "no rows"
"$cli" load --data "$tmp/rows.jsonl" --mode append "$tmp/g" >"$tmp/cli" 2>&1 || fail "load: $(cat "$tmp/cli")"

# --- with room for everything; commits above the images: changed, new and deleted rows of each type
serve "$tmp/g" --workers 2
expect 200 POST /query '{"query":"query q() { match { $a: A { key: \"A5\" } } return { $a.n } }"}'
commit=$(sed -n 's/.*"graph_commit_id":"\([^"]*\)".*/\1/p' "$tmp/body")
[ -n "$commit" ] || fail "no commit: $(answer)"
for t in A B C D E F; do
	for k in 5 77 100; do
		expect 200 POST /mutate "{\"query\":\"query m() { update $t set { text: \\\"new abc $k\\\", n: $k } where key = \\\"$t$k\\\" }\"}"
	done
	expect 200 POST /mutate "{\"query\":\"query m() { insert $t { key: \\\"new\\\", text: \\\"abc\\\", n: 1, x: 0.5 } }\"}"
	expect 200 POST /mutate "{\"query\":\"query m() { delete $t where key = \\\"${t}9\\\" }\"}"
done
expect 200 POST /mutate '{"query":"query m() { insert AtoB { from: \"A5\", to: \"B5\", w: 3 } }"}'
python3 "$clients" ask "$url" "$commit" "$tmp/answers" || fail "no answers"
whole=$(status | grep -o '"image_bytes":[0-9]*' | cut -d: -f2)
[ "$whole" -gt $((4 * budget)) ] || fail "the graph takes only $whole bytes in memory"
echo "$whole bytes of images, budget $budget"
stop

# --- what cannot be is said
"$master" "$tmp/g" --unauthenticated --image-memory 1000 >"$tmp/out" 2>"$tmp/refused" && fail "a budget of 1000 bytes is taken"
grep -qF "invalid value '1000' for '--image-memory': at least 1048576" "$tmp/refused" || fail "$(cat "$tmp/refused")"

# --- with room for a part
serve "$tmp/g" --workers 2 --image-memory $budget
python3 "$clients" press "$url" "$commit" "$tmp/answers" $limit "$tmp/admin" "$ask" || fail "with a small budget"
[ "$(status | grep -o '"images_evicted":[0-9]*' | cut -d: -f2)" -gt 10 ] || fail "nothing was evicted: $(status)"
stop

# --- and with processes killed
serve "$tmp/g" --workers 2 --image-memory $budget
python3 "$clients" press "$url" "$commit" "$tmp/answers" $((limit + limit)) "$tmp/admin" "$ask" kill || fail "with processes killed"
stop
echo "all good"
