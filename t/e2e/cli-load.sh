#!/bin/bash
# load, ingest, export from the command line; a command that is killed leaves nobody behind.
. "${srcdir:-.}/t/e2e/lib.sh" || exit 99
. "$srcdir/t/e2e/clilib.sh" || exit 99

new_graph g
rm -f omnigraph.yaml
cat >d.jsonl <<'END'
{"type":"Person","data":{"name":"ada","age":36}}
{"edge":"Knows","from":"ada","to":"bob","data":{"since":1843}}

{"type":"Person","data":{"name":"bob"}}
END
run 0 load g --data d.jsonl --mode merge
out_is 'loaded g on branch main with merge: 2 nodes across 1 node types, 1 edges across 1 edge types'
err_empty
run 0 load g --data d.jsonl --mode overwrite --json
for m in '"uri": "g"' '"mode": "overwrite"' '"branch_created": false' '"nodes_loaded": 2' '"edges_loaded": 1' '"node_types_loaded": 1' '"edge_types_loaded": 1'; do
	out_has "$m"
done
! grep -q base_branch "$tmp/stdout" || fail "base_branch without --from"
fails load g --data d.jsonl --mode append
err_has 'already'
fails load g --data nix --mode append
err_has 'io: No such file or directory (os error 2)'
fails load g --data . --mode append
fails load g --data d.jsonl --mode append --branch nix
err_has "branch 'nix' not found"
printf '{"type":"Person","data":{"name":"\377"}}\n' >bad.jsonl
fails load g --data bad.jsonl --mode merge
err_has 'stream did not contain valid UTF-8'
printf '{"type":"Person","data":{"name":"x"}}\n{"type":"Nix","data":{}}\n' >bad.jsonl
fails load g --data bad.jsonl --mode merge
err_has '2'
printf '{"edge":"Knows","from":"ada","to":"nobody","data":{}}\n' >bad.jsonl
fails load g --data bad.jsonl --mode merge
run 0 snapshot g
out_has 'node:Person v3 branch=main rows=2'

# --- pipes and standard input
"$cli" load g --data - --mode merge <d.jsonl >"$tmp/stdout" || fail "load from standard input"
run 0 load g --data <(cat d.jsonl) --mode merge
: >empty
run 0 load g --data empty --mode merge
out_has '0 nodes across 0 node types'

# --- ingest warns and fills in
run 0 ingest g --data d.jsonl
err_has 'warning: `omnigraph ingest` is deprecated and will be removed in a future release; use `omnigraph load --from <base> --mode <mode>` (ingest defaults: --from main --mode merge)'
out_has 'ingested g into branch main from main with merge (branch exists)'
out_has 'edge:Knows rows_loaded=1'
run 0 ingest g --data d.jsonl --json
[ "$(grep -o '"table_key": "[^"]*"' "$tmp/stdout" | tr '\n' ' ')" = '"table_key": "edge:Knows" "table_key": "node:Person" ' ] || fail "tables: $(cat "$tmp/stdout")"
out_has '"actor_id": null'

run 0 load g --data d.jsonl --mode overwrite

# --- times may name zones, as they may to a server
if [ -e /usr/share/zoneinfo/Europe/Berlin ]; then
	echo 'node Event { name: String @key  at: DateTime? }' >event.pg
	echo '{"type":"Event","data":{"name":"leap","at":"2020-02-29T10:00:00 Europe/Berlin"}}' >event.jsonl
	run 0 init events --schema event.pg
	run 0 load events --data event.jsonl --mode append
	run 0 mutate events -e 'query q() { insert Event { name: "later", at: datetime("2020-07-01T10:00:00Europe/Berlin") } }'
	run 0 query events -e 'query q() { match { $e: Event } return { $e.at } order { $e.at } }' --format csv
	[ "$(tr '\n' ' ' <"$tmp/stdout")" = 'e.at 2020-02-29T09:00:00.000Z 2020-07-01T08:00:00.000Z ' ] || fail "zones: $(cat "$tmp/stdout")"
	rm -f omnigraph.yaml
fi

# --- export: loads into a fresh graph as the same
run 0 export g
err_empty
cp "$tmp/stdout" all.jsonl
[ "$(wc -l <all.jsonl)" -eq 3 ] || fail "export: $(cat all.jsonl)"
new_graph h
run 0 load h --data all.jsonl --mode append
run 0 export h
cmp -s "$tmp/stdout" all.jsonl || fail "an export of an export differs: $(cat "$tmp/stdout")"
run 0 export g --type Person --jsonl
err_has 'warning: --jsonl is deprecated; `omnigraph export` always emits JSONL'
[ "$(grep -c Person "$tmp/stdout")" -eq "$(wc -l <"$tmp/stdout")" ] || fail "--type: $(cat "$tmp/stdout")"
run 0 export g --type Person --table edge:Knows
cmp -s "$tmp/stdout" all.jsonl || fail "the union is not everything"
fails export g --type Nix
err_has "unknown export type 'Nix'"
fails export g --table node:Nix
err_has "unknown export table 'node:Nix'"
fails export g --branch nix

# --- a reader that leaves: quiet, but no success; a full disk: told
awk 'BEGIN { for (i = 0; i < 20000; i++) printf "{\"type\":\"Person\",\"data\":{\"name\":\"p%d\",\"age\":%d}}\n", i, i % 99 }' >many.jsonl
run 0 load h --data many.jsonl --mode merge
"$cli" export h 2>"$tmp/stderr" | head -n 1 >/dev/null
rc=${PIPESTATUS[0]}
[ "$rc" -ne 0 ] || fail "a closed pipe is no success"
[ ! -s "$tmp/stderr" ] || fail "a closed pipe: $(cat "$tmp/stderr")"
"$cli" export h >/dev/full 2>"$tmp/stderr" && fail "a full disk is no success"
grep -q 'No space left on device (os error 28)' "$tmp/stderr" || fail "full disk: $(cat "$tmp/stderr")"

# --- killed in mid-load: og-storaged leaves, nothing is written
before=$("$cli" snapshot h)
mkfifo pipe
"$cli" load h --data pipe --mode merge >/dev/null 2>&1 &
loader=$!
exec 3>pipe
head -n 100 d.jsonl >&3
has_child() { [ -n "$(ps -o pid= --ppid $loader)" ]; }
until_ok 10 has_child || fail "no og-storaged"
child=$(ps -o pid= --ppid $loader | tr -d ' ')
kill -9 $loader
wait $loader 2>/dev/null
exec 3>&-
until_ok 10 gone "$child" || fail "og-storaged stays behind"
[ "$("$cli" snapshot h)" = "$before" ] || fail "a load that was killed has written"
run 0 verify h

# --- og-storaged killed in mid-load: an error, not a hang
"$cli" load h --data pipe --mode merge >/dev/null 2>"$tmp/stderr" &
loader=$!
exec 3>pipe
until_ok 10 has_child || fail "no og-storaged"
kill -9 "$(ps -o pid= --ppid $loader | tr -d ' ')"
head -n 100 d.jsonl >&3
exec 3>&-
until_ok 20 gone $loader || fail "the load hangs without og-storaged"
wait $loader && fail "a load without og-storaged is no success"
grep -q '^Error:' "$tmp/stderr" || fail "no report: $(cat "$tmp/stderr")"
nobody_left
exit 0
