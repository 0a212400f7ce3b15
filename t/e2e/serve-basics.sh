#!/bin/bash
# A graph over HTTP as a client meets it: every route, the envelope of errors, the headers of deprecated spellings.
. "${srcdir:-.}/t/e2e/lib.sh"

new_graph "$tmp/g"
serve "$tmp/g" --workers 2
[ "$(wc -l <"$tmp/out")" -eq 1 ] || fail "stdout has more than the listen line"

# --- without the store
expect 200 GET /healthz
has '"status":"ok"'
has '"version":"'
expect 200 GET /readyz
has '{"status":"ready"}'

# --- schema and snapshot of an empty graph
expect 200 GET /schema
has 'node Person'
expect 200 GET /snapshot
has '"branch":"main"'
has '"table_key":"edge:Knows"'
has '"table_key":"node:Person"'
has '"row_count":0'
has_header 'content-type: application/json'
expect 404 GET '/snapshot?branch=none'
has '"code":"not_found"'
has "branch 'none' not found"
expect 400 GET '/snapshot?branch='
has 'branch name cannot be empty'

# --- a write, seen by the next read on any connection
expect 200 POST /mutate "$(add_person ada)"
has '"branch":"main","query_name":"add","affected_nodes":1,"affected_edges":0,"actor_id":null'
has_no_header deprecation
for _ in 1 2 3 4 5 6 7 8; do
	expect 200 POST /query "$all_people"
	has '"query_name":"people","target":{"branch":"main","snapshot":null},"row_count":1,"columns":["p.name"],"rows":[{"p.name":"ada"}]'
done
has_no_header deprecation
commit=$(grep -o '"graph_commit_id":"[^"]*"' "$tmp/body" | cut -d'"' -f4)
[ ${#commit} -eq 26 ] || fail "no commit id: $(answer)"
expect 200 POST /mutate '{"query":"query two($a: String, $b: String) { insert Person { name: $b, age: 41 } insert Knows { from: $a, to: $b } }","params":{"a":"ada","b":"bob"}}'
has '"affected_nodes":1,"affected_edges":1'
expect 200 POST /query '{"query":"query k() { match { $p: Person  $p knows $q } return { $p.name, $q.name, $q.age } }"}'
has '"rows":[{"p.name":"ada","q.name":"bob","q.age":41}]'

# --- an older state by its commit; both at once is refused
expect 200 POST /query "${all_people%\}},\"snapshot\":\"$commit\"}"
has "\"target\":{\"branch\":null,\"snapshot\":\"$commit\"},\"row_count\":1"
expect 400 POST /query "${all_people%\}},\"snapshot\":\"$commit\",\"branch\":\"main\"}"
has 'request may specify branch or snapshot, not both'
expect 404 POST /query "${all_people%\}},\"snapshot\":\"00000000000000000000000000\"}"

# --- deprecated spellings say so, but only when they succeed
expect 200 POST /read '{"query_source":"query people() { match { $p: Person } return { $p.name } }"}'
has_header 'deprecation: true'
has_header 'link: </query>; rel="successor-version"'
expect 200 POST /change "$(add_person cyd)"
has_header 'deprecation: true'
has_header 'link: </mutate>; rel="successor-version"'
expect 400 POST /read '{"query_source":"nonsense"}'
has_no_header deprecation

# --- errors: the envelope, or plain text where the request was no request
expect 400 POST /query '{"query":"query q() { match { $p: Persona } return { $p.name } }"}'
has '"code":"bad_request"'
has '"error":"'
expect 400 POST /query "$(add_person eve)"
has "use POST /mutate for write queries"
expect 400 POST /mutate "$all_people"
has 'use query instead'
expect 400 POST /query '{"query":'
has 'Failed to parse the request body as JSON'
has_header 'content-type: text/plain; charset=utf-8'
expect 422 POST /query '{}'
has 'missing field `query`'
code=$(curl -sS -o "$tmp/body" -w '%{http_code}' -d x "$url/query")
[ "$code" = 415 ] || fail "$code instead of 415"
has 'Expected request with `Content-Type: application/json`'
expect 404 GET /nowhere
[ ! -s "$tmp/body" ] || fail "404 with a body: $(answer)"
expect 405 DELETE /query
has_header 'allow: POST'
expect 405 GET /graphs
has 'GET /graphs is only available in multi-graph mode'
has '"code":"method_not_allowed"'

# --- an insert that meets its key again, and one that changes nothing
expect 200 POST /query "$all_people"
has '"row_count":3'
before=$(answer)
expect 200 POST /mutate '{"query":"query d($n: String) { delete Person where name = $n }","params":{"n":"nobody"}}'
has '"affected_nodes":0'
has '"commit":null'
expect 200 POST /query "$all_people"
[ "$before" = "$(answer)" ] || fail "a mutation without effect changed something: $(answer)"

# --- SIGHUP is answered in the log
kill -HUP "$server"
until_ok 5 grep -q 'reloading is not available' "$tmp/err" || fail "SIGHUP says nothing"
stop

# --- what was acknowledged is there after a restart
serve "$tmp/g" --workers 1
[ "$(names | tr '\n' ' ')" = 'ada bob cyd ' ] || fail "after a restart: $(answer)"
stop INT
verified "$tmp/g"
echo "all good"
