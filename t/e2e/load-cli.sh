#!/bin/bash
# load and export at the command line, without a server: files, pipes, what is told, what stays behind.
. "${srcdir:-.}/t/e2e/lib.sh"

# loads ARGUMENTS...: must succeed; the output lies in $tmp/said
loads() { "$cli" load "$@" "$tmp/g" >"$tmp/said" 2>"$tmp/why" || fail "load $*: $(cat "$tmp/why")"; }
# refused TEXT ARGUMENTS...
refused() {
	local text=$1
	shift
	"$cli" load "$@" "$tmp/g" >"$tmp/said" 2>"$tmp/why" && fail "load $* succeeded"
	grep -qF -- "$text" "$tmp/why" || fail "load $*: $(cat "$tmp/why") instead of $text"
	[ ! -s "$tmp/said" ] || fail "load $* failed and printed $(cat "$tmp/said")"
}
said() { grep -qxF -- "$1" "$tmp/said" || fail "the output lacks '$1': $(cat "$tmp/said")"; }

mkdir "$tmp/spill"
export TMPDIR=$tmp/spill
new_graph "$tmp/g"

printf '%s\n' '{"edge":"Knows","from":"ann","to":"bob","data":{"id":"k","since":1}}' '{"type":"Person","data":{"name":"ann"}}' \
	'{"type":"Person","data":{"name":"bob","age":3}}' >"$tmp/few"
loads --data "$tmp/few" --mode append
said "loaded $tmp/g on branch main with append: 2 nodes across 1 node types, 1 edges across 1 edge types"
loads --data - --mode merge --json <"$tmp/few"
for member in '"mode": "merge"' '"branch_created": false' '"nodes_loaded": 2' '"edges_loaded": 1' '"node_types_loaded": 1' '"edge_types_loaded": 1'; do
	grep -qF "$member" "$tmp/said" || fail "the output lacks $member: $(cat "$tmp/said")"
done
cat "$tmp/few" | "$cli" load --data - --mode overwrite "$tmp/g" >"$tmp/said" 2>&1 || fail "a pipe: $(cat "$tmp/said")"
"$cli" ingest --data "$tmp/few" "$tmp/g" >"$tmp/said" 2>"$tmp/why" || fail "ingest: $(cat "$tmp/why")"
said "ingested $tmp/g into branch main from main with merge (branch exists)"
said 'edge:Knows rows_loaded=1'
said 'node:Person rows_loaded=2'
grep -q deprecated "$tmp/why" || fail "ingest is not called deprecated"

refused 'No such file or directory' --data "$tmp/none" --mode merge
printf '{"type":"Person","data":{"name":"\377"}}\n' >"$tmp/bytes"
refused 'io: stream did not contain valid UTF-8 at line 1 column 34' --data "$tmp/bytes" --mode merge
refused "node type 'Person' already has this id (line 2)" --data "$tmp/few" --mode append
refused "branch 'none' not found; pass \`from\` to create it" --data "$tmp/few" --mode merge --branch none
echo '{"type":"Person","data":{"name":"cy"}' >"$tmp/cut"
refused 'invalid JSON at record 1: unexpected end of input at line 2 column 1' --data "$tmp/cut" --mode merge

"$cli" export "$tmp/g" >"$tmp/all" 2>"$tmp/why" || fail "export: $(cat "$tmp/why")"
diff "$tmp/all" - <<'X' || fail "the export"
{"edge":"Knows","from":"ann","to":"bob","data":{"id":"k","since":1}}
{"type":"Person","data":{"id":"ann","age":null,"name":"ann"}}
{"type":"Person","data":{"id":"bob","age":3,"name":"bob"}}
X
"$cli" export --table node:Person "$tmp/g" 2>&1 | cmp - <(tail -n 2 "$tmp/all") || fail "export of one table"
"$cli" export --type Nobody "$tmp/g" >"$tmp/said" 2>"$tmp/why" && fail "export of an unknown type"
grep -qF "unknown export type 'Nobody'" "$tmp/why" || fail "export of an unknown type: $(cat "$tmp/why")"

# --- segments, through a pipe; back again; what a server makes of them
awk 'BEGIN { for (i = 0; i < 150000; i++) printf "{\"type\":\"Person\",\"data\":{\"name\":\"a person whose name is long, number %d\",\"age\":%d}}\n", i, i % 90
	for (i = 0; i < 150000; i++) printf "{\"edge\":\"Knows\",\"from\":\"a person whose name is long, number %d\",\"to\":\"a person whose name is long, number %d\",\"data\":{\"since\":%d}}\n", (i * 7919) % 150000, i, i }' |
	"$cli" load --data - --mode overwrite "$tmp/g" >"$tmp/said" 2>&1 || fail "a large load: $(cat "$tmp/said")"
said "loaded $tmp/g on branch main with overwrite: 150000 nodes across 1 node types, 150000 edges across 1 edge types"
"$cli" export "$tmp/g" >"$tmp/all" || fail "a large export"
[ "$(wc -l <"$tmp/all")" = 300000 ] || fail "a large export has $(wc -l <"$tmp/all") lines"
LC_ALL=C sort -c -t'"' -k10,10 <(tail -n 150000 "$tmp/all") || fail "rows are not in the order of their ids"
new_graph "$tmp/h"
"$cli" load --data "$tmp/all" --mode overwrite "$tmp/h" >"$tmp/said" 2>&1 || fail "load of an export: $(cat "$tmp/said")"
"$cli" export "$tmp/h" | cmp - "$tmp/all" || fail "an export that was loaded exports otherwise"
verified "$tmp/g"
verified "$tmp/h"
serve "$tmp/h" --workers 1
expect 200 GET /snapshot
has '"row_count":150000'
stop
[ -z "$(ls -A "$tmp/spill")" ] || fail "files are left: $(ls "$tmp/spill")"
