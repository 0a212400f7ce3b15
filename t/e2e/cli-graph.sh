#!/bin/bash
# A local graph from the command line: init, mutate, query, snapshot, schema, lint, verify.
. "${srcdir:-.}/t/e2e/lib.sh" || exit 99
. "$srcdir/t/e2e/clilib.sh" || exit 99

cat >s.pg <<'END'
node Vessel { name: String @key  imo: I64?  tonnage: F64? }
node Port { code: String @key }
edge CallsAt: Vessel -> Port { at: Date? }
END
cat >q.gq <<'END'
query vessels() { match { $v: Vessel } return { $v.name, $v.imo } order { $v.name } }
query by_name($name: String) { match { $v: Vessel { name: $name } } return { $v.name } }
query add($name: String, $imo: I64?) { insert Vessel { name: $name, imo: $imo } }
query drop($name: String) { delete Vessel where name = $name }
END
echo 'query vessels() { match { $v: Vessel } return { $v.name } }' >one.gq

# --- init
run 0 init deep/er/g.omni --schema s.pg
out_is 'initialized deep/er/g.omni'
err_empty
[ -f deep/er/omnigraph.yaml ] || fail "no config beside the graph"
grep -q "uri: 'g.omni'" deep/er/omnigraph.yaml || fail "the config does not name the graph: $(cat deep/er/omnigraph.yaml)"
run 0 snapshot --config deep/er/omnigraph.yaml
fails init deep/er/g.omni --schema s.pg
err_has "graph already initialized at 'deep/er/g.omni'; pass --force to overwrite"
echo mine >deep/er/omnigraph.yaml
run 0 mutate deep/er/g.omni --query q.gq --name add --params '{"name":"old"}'
run 0 init deep/er/g.omni --schema s.pg --force
[ "$(cat deep/er/omnigraph.yaml)" = mine ] || fail "init touches a config that is there"
run 0 snapshot deep/er/g.omni
out_has 'node:Vessel v1 branch=main rows=0'
fails init bad --schema q.gq
err_has 'parse error'
[ ! -e bad ] || fail "a bad schema leaves a folder"
fails init x --schema nix.pg
err_has 'No such file or directory (os error 2)'
printf 'node A { a: Nix }' >bad.pg
fails init x --schema bad.pg
fails init 's.pg/x' --schema s.pg
run 0 init "file://$tmp/f/g" --schema s.pg
[ -f f/g/format.json ] || fail "file:// goes elsewhere"
run 0 init "it's %20 #?ü" --schema s.pg
grep -q "uri: 'it''s %20 #?ü'" omnigraph.yaml || grep -q "uri: 'file" omnigraph.yaml || fail "the scaffold: $(cat omnigraph.yaml)"
run 0 snapshot "it's %20 #?ü"
rm -f omnigraph.yaml

# --- writes and reads
g=deep/er/g.omni
run 0 mutate --uri $g --query q.gq --name add --params '{"name":"Elsa","imo":9321483}'
out_is 'changed main via add: 1 nodes, 0 edges'
err_empty
run 0 --as act-a mutate --uri $g -e 'query add($n: String) { insert Vessel { name: $n } }' --params '{"n":"Bo"}' --json
out_has '"affected_nodes": 1'
out_has '"actor_id": "act-a"'
commit=$(sed -n 's/.*"graph_commit_id": "\(.*\)".*/\1/p' "$tmp/stdout")
run 0 mutate $g --query q.gq --name add --params '{"name":"Corvo","imo":9223372036854775807}' --as act-b
out_is 'changed main via add: 1 nodes, 0 edges
actor_id: act-b'
run 0 query $g --query q.gq --name vessels
out_is '3 rows from branch main via vessels
v.name | v.imo              
-------+--------------------
Bo     | null               
Corvo  | 9223372036854775807
Elsa   | 9321483            '
run 0 query $g --query one.gq --format csv
[ "$(sort "$tmp/stdout" | tr '\n' ' ')" = 'Bo Corvo Elsa v.name ' ] || fail "csv: $(cat "$tmp/stdout")"
run 0 query $g --query q.gq --name vessels --snapshot "$commit"
out_has "2 rows from snapshot $commit via vessels"
run 0 query --uri $g --query q.gq --name vessels --json
out_has '"row_count": 3'
run 0 query --uri $g --query q.gq --name vessels --format jsonl
out_has '{"kind":"metadata","query_name":"vessels","target":{"branch":"main","snapshot":null},"row_count":3}'
out_has '{"v.name":"Bo","v.imo":null}'
"$cli" query $g --query - --format kv <one.gq >"$tmp/stdout" || fail "a query from standard input"
grep -qx 'row 3' "$tmp/stdout" || fail "kv: $(cat "$tmp/stdout")"
echo '{"name":"Bo"}' >p.json
run 0 query $g --query q.gq --name by_name --params-file p.json --format csv
out_is 'v.name
Bo'
run 0 mutate $g --query q.gq --name drop --params '{"name":"nobody"}' --json
out_has '"commit": null'

# --- what is refused
fails query $g
err_has 'exactly one of --query, --query-string, or --alias must be provided'
fails query $g -e ' '
err_has -- '--query-string must not be empty'
fails query $g --query q.gq
err_has 'query file contains multiple queries; pass --name'
fails query $g --query q.gq --name nix
err_has "query 'nix' not found"
fails query $g --query nix.gq
err_has "query file 'nix.gq' not found"
fails query $g --query q.gq --name add --params '{"name":"x"}'
err_has 'type error'
fails mutate $g --query q.gq --name vessels
fails query $g -e 'query x('
err_has 'parse error'
fails query $g --query q.gq --name by_name
err_has "parameter 'name' not provided"
fails query $g --query q.gq --name by_name --params '{"name":5}'
err_has "param 'name': expected string, got number"
for p in null '[]' 1; do
	fails query $g --query q.gq --name by_name --params "$p"
	err_has 'params JSON must be an object'
done
fails query $g --query q.gq --name by_name --params '{"name"'
err_has 'line 1 column'
fails query $g --query one.gq --branch nix
err_has "branch 'nix' not found"
fails query $g --query one.gq a b
err_has "alias '<alias>' expects at most 0 args but got 2"
fails query --query one.gq
err_has 'URI must be provided via <URI>, --target, or config'
printf '\377' >notutf8
fails query $g --query notutf8
err_has 'stream did not contain valid UTF-8'

# --- no graph there
for p in nix s.pg "$tmp"; do
	fails snapshot $p --json
	err_has "not found"
done
err_has "$tmp"

# --- a folder that may not be read
if [ "$(id -u)" -ne 0 ]; then
	mkdir closed
	chmod 0 closed
	for words in 'snapshot closed' 'verify closed' 'init closed --schema s.pg' 'export closed'; do
		# shellcheck disable=SC2086
		fails $words
		err_has 'Permission denied (os error 13)'
	done
	chmod 700 closed
fi

# --- snapshot, schema
run 0 snapshot $g --json
out_has '"table_key": "node:Vessel"'
out_has '"table_branch": null'
out_has '"row_count": 3'
run 0 snapshot $g
out_has 'branch: main'
out_has 'node:Vessel v4 branch=main rows=3'
for s in show get; do
	run 0 schema $s $g
	err_empty
	[ "$(cat "$tmp/stdout")" = "$(cat s.pg)" ] || fail "schema $s: $(cat "$tmp/stdout")"
done
run 0 schema show $g --json
out_has '"schema_source": "node Vessel'

# --- lint
run 0 lint --schema s.pg --query q.gq
out_has 'OK    query `vessels` (read)'
out_has 'INFO  Lint complete: 4 queries processed (0 error(s), '
run 0 lint $g --query q.gq --json
out_has '"kind": "graph"'
out_has "\"query_path\": \"$tmp/q.gq\""
run 1 lint --schema s.pg --query s.pg
out_has 'ERROR parse error'
fails lint --query q.gq
err_has 'query lint requires --schema <schema.pg> or a resolvable graph target'
fails lint http://h/x --query q.gq
err_has 'query lint is only supported against local graph URIs in this milestone'
fails lint --schema q.gq --query q.gq

# --- verify: sound, then damaged in the log
run 0 verify $g
out_has '0 faults'
run 0 verify $g --json
out_has '"ok": true'
log=$(find $g/log -type f | sort | tail -n 1)
size=$(stat -c %s "$log")
chmod u+w "$log"
byte=$(od -An -tu1 -j $((size / 2)) -N 1 "$log")
printf "\\$(printf %o $((byte ^ 1)))" | dd of="$log" bs=1 seek=$((size / 2)) conv=notrunc status=none
run 1 verify $g
out_has 'FAULT '
run 1 verify $g --json
out_has '"ok": false'
nobody_left
exit 0
