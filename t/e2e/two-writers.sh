#!/bin/bash
# A server and the command line write one graph at the same time: each sees what the other was acknowledged, at once; one chain.
. "${srcdir:-.}/t/e2e/lib.sh"

new_graph "$tmp/g"
serve "$tmp/g" --workers 2
cli_run() { "$cli" "$@" >"$tmp/cli" 2>&1 || fail "og-cli $*: $(cat "$tmp/cli")"; }
insert='query add($n: String) { insert Person { name: $n } }'
find='query find($n: String) { match { $p: Person { name: $n } } return { $p.name } }'

# sees NAME: the server answers with it
sees() {
	expect 200 POST /query "{\"query\":\"$find\",\"params\":{\"n\":\"$1\"}}"
	has "\"rows\":[{\"p.name\":\"$1\"}]"
}
# --- in turns, while the server has writers of its own
start_writers a b
: >"$tmp/acked.cli"
for i in 1 2 3 4 5 6 7 8; do
	cli_run mutate --uri "$tmp/g" -e "$insert" --params "{\"n\":\"cli-$i\"}"
	echo "cli-$i" >>"$tmp/acked.cli"
	sees "cli-$i"
	expect 200 POST /mutate "$(add_person "http-$i")"
	echo "http-$i" >>"$tmp/acked.cli"
	cli_run query --uri "$tmp/g" -e "$find" --params "{\"n\":\"http-$i\"}" --json
	grep -qF "\"http-$i\"" "$tmp/cli" || fail "the command line does not see http-$i: $(cat "$tmp/cli")"
done

# --- a load, in one commit, in the middle of it
for i in $(seq 300); do
	echo "{\"type\":\"Person\",\"data\":{\"name\":\"load-$i\",\"age\":$i}}"
	echo "load-$i" >>"$tmp/acked.cli"
done >"$tmp/rows.jsonl"
echo '{"edge":"Knows","from":"load-1","to":"http-1","data":{"since":7}}' >>"$tmp/rows.jsonl"
cli_run load --data "$tmp/rows.jsonl" --mode append "$tmp/g"
grep -q '300 nodes' "$tmp/cli" || fail "load said: $(cat "$tmp/cli")"
sees load-1
sees load-300
expect 200 POST /query '{"query":"query k() { match { $p: Person  $p knows $q } return { $p.name, $q.name } }"}'
has '"rows":[{"p.name":"load-1","q.name":"http-1"}]'
until_ok 20 more_acked 20 || fail "the server's writers got nothing through"
stop_writers
none_lost

# --- the server's own word and the command line's are the same
expect 200 GET /snapshot
server_says=$(answer | jq -c '[.tables[] | {table_key, row_count, table_version}]')
cli_run snapshot "$tmp/g" --json
[ "$server_says" = "$(jq -c '[.tables[] | {table_key, row_count, table_version}]' "$tmp/cli")" ] || fail "two answers: $server_says and $(cat "$tmp/cli")"
stop
verified "$tmp/g"
echo "all good"
