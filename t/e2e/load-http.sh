#!/bin/bash
# Loads and exports over HTTP: modes, every error of a record, what a failed load leaves, an export that loads again.
. "${srcdir:-.}/t/e2e/lib.sh"

schema='node Person { slug: String @key  age: I32?  mail: String? @unique  mood: enum(calm, wild)?
 @range(age, 0..150) @check(slug, "^[a-z0-9-]+$") }
node Note { text: String  tags: [String]?  vec: Vector(2)?  pic: Blob?  at: DateTime?  on: Date?  x: F32? }
node Day { on: Date @key }
edge Knows: Person -> Person @card(0..2) { since: Date? }
edge Wrote: Person -> Note
edge On: Note -> Day'
new_graph "$tmp/g" "$schema"
serve "$tmp/g" --workers 2

# quote: standard input as a JSON string
quote() {
	local text
	text=$(sed 's/\\/\\\\/g; s/"/\\"/g' | awk '{ printf "%s\\n", $0 }')
	printf '"%s"' "$text"
}
# load MODE: the records on standard input; sets $code
load() {
	printf '{"mode":"%s","data":%s}' "$1" "$(quote)" >"$tmp/request"
	request POST /ingest "@$tmp/request"
}
loaded() {
	load "$1"
	[ "$code" = 200 ] || fail "load $1: $code $(answer)"
	has "\"mode\":\"$1\""
}
# refused CODE TEXT: the same whatever the mode
refused() {
	local mode records
	records=$(cat)
	for mode in append merge overwrite; do
		load "$mode" <<<"$records"
		[ "$code" = "$1" ] || fail "$mode: $code instead of $1: $(answer) for $records"
		has "\"error\":$(quote <<<"$2" | sed 's/\\n"$/"/')"
	done
}
# export_to FILE [BODY]
export_to() {
	curl -fsS -m 60 -H 'Content-Type: application/json' -d "${2:-{\}}" -o "$1" "$url/export" || fail "export"
}
rows() {
	request GET /snapshot
	grep -o "\"table_key\":\"$1\",[^}]*\"row_count\":[0-9]*" "$tmp/body" | sed 's/.*://'
}
version() {
	request GET /snapshot
	grep -o '"manifest_version":[0-9]*' "$tmp/body" | head -n 1 | cut -d: -f2
}

# --- nothing is a load too
loaded merge </dev/null
has '"tables":[]'
[ "$(version)" = 2 ] || fail "an empty load makes one commit: $(version)"

# --- every fault of a record; nothing is written
before=$(version)
refused 400 'invalid JSON at record 2: expected a value at line 2 column 2' <<<'{"type":"Person","data":{"slug":"a"}}
nope'
refused 400 'invalid JSON at record 1: unexpected end of input at line 2 column 1' <<<'{"type":"Person"'
refused 400 "record 1: expected 'type' or 'edge' field (line 1)" <<<'{"kind":"Person"}'
refused 400 "record 1: expected 'type' or 'edge' field (line 1)" <<<'[]'
refused 400 "record 2: unknown node type 'person' (line 2)" <<<'{"type":"Person","data":{"slug":"a"}}
{"type":"person"}'
refused 400 "record 1: unknown edge type 'Likes' (line 1)" <<<'{"edge":"Likes","from":"a","to":"b"}'
refused 400 "record 1: edge missing 'from' (line 1)" <<<'{"edge":"Knows","from":1,"to":"b"}'
refused 400 "record 1: edge missing 'to' (line 1)" <<<'{"edge":"KNOWS","from":"b"}'
refused 400 "node Person missing @key property 'slug' (line 1)" <<<'{"type":"Person"}'
refused 400 "non-nullable property 'text' has null or invalid values (line 2)" <<<'
{"type":"Note","data":{"text":null}}'
refused 400 "node Person has explicit id 'x' that does not match @key property 'slug' canonical value 'a' (line 1)" \
	<<<'{"type":"Person","data":{"slug":"a","id":"x"}}'
refused 400 "node Note explicit id must be a string, got 7 (line 1)" <<<'{"type":"Note","data":{"id":7,"text":"t"}}'
refused 400 "property 'age' value 2147483648 exceeds Int32 range (line 1)" <<<'{"type":"Person","data":{"slug":"a","age":2147483648}}'
refused 400 "@range violation on Person.age: value 151 > max 150 (line 1)" <<<'{"type":"Person","data":{"slug":"a","age":151}}'
refused 400 "@range violation on Person.age: value -1 < min 0 (line 1)" <<<'{"type":"Person","data":{"slug":"a","age":-1}}'
refused 400 "invalid enum value 'mad' for Person.mood (expected: calm, wild) (line 1)" <<<'{"type":"Person","data":{"slug":"a","mood":"mad"}}'
refused 400 "@check violation on Person.slug: value 'A' does not match pattern '^[a-z0-9-]+\$' (line 1)" <<<'{"type":"Person","data":{"slug":"A"}}'
refused 400 "invalid Date literal '2023-02-30' (line 1)" <<<'{"type":"Note","data":{"text":"t","on":"2023-02-30"}}'
refused 400 "invalid DateTime literal 'now' (line 1)" <<<'{"type":"Note","data":{"text":"t","at":"now"}}'
refused 400 "vector property 'vec' expects 2 dimensions, got 3 (line 1)" <<<'{"type":"Note","data":{"text":"t","vec":[1,2,3]}}'
refused 400 "@unique violation on Person.slug: value 'a' appears in rows 0 and 1 (lines 1 and 3)" <<<'{"type":"Person","data":{"slug":"a"}}

{"type":"Person","data":{"slug":"a"}}'
refused 400 "@unique violation on Person.mail: value 'm' appears in rows 0 and 1 (lines 1 and 2)" <<<'{"type":"Person","data":{"slug":"a","mail":"m"}}
{"type":"Person","data":{"slug":"b","mail":"m"}}'
refused 400 "src 'nobody' not found in Person (line 1)" <<<'{"edge":"Knows","from":"nobody","to":"nobody"}'
refused 400 "dst 'nothing' not found in Note (line 2)" <<<'{"type":"Person","data":{"slug":"a"}}
{"edge":"Wrote","from":"a","to":"nothing"}'
refused 400 "@card violation on edge Knows: source 'a' has 3 edges (max 2) (line 2)" <<<'{"type":"Person","data":{"slug":"a"}}
{"edge":"Knows","from":"a","to":"a"} {"edge":"Knows","from":"a","to":"a"} {"edge":"Knows","from":"a","to":"a"}'
[ "$(version)" = "$before" ] || fail "a refused load left a commit"
load sideways <<<''
[ "$code" = 422 ] || fail "mode: $code"

# --- a branch that is not there
expect 404 POST /ingest '{"branch":"none","data":""}'
has 'branch '"'none'"' not found; pass `from` to create it'
expect 404 POST /ingest '{"branch":" ","data":""}'
expect 200 POST /ingest '{"from":"none","data":""}'
has '"base_branch":"none","branch_created":false'

# --- append
loaded append <<'X'
{"edge":"knows","from":"ann","to":"bob","data":{"since":"2024-1-3"}}
{"type":"Person","data":{"slug":"ann","age":7,"mail":"a@b","unknown":1}} {"type":"Person","data":{"slug":"bob"}}
{"type":"Note","data":{"id":"n1","text":"\u00e9\n","tags":["x",null],"vec":[1,-0.5],"pic":"base64:aGk=","at":"2026-05-01T08:30:00.25Z","on":5,"x":0.1}}
{"edge":"Wrote","from":"ann","to":"n1"}
{"edge":"On","from":"n1","to":"2024-01-03"}
{"type":"Day","data":{"id":"2024-01-03","on":"2024-1-3"}}
X
has '"tables":[{"table_key":"edge:Knows","rows_loaded":1},{"table_key":"edge:On","rows_loaded":1},{"table_key":"edge:Wrote","rows_loaded":1},{"table_key":"node:Day","rows_loaded":1},{"table_key":"node:Note","rows_loaded":1},{"table_key":"node:Person","rows_loaded":2}]'
has_header 'deprecation: true'
load append <<<'{"type":"Person","data":{"slug":"cy"}}{"type":"Person","data":{"slug":"bob"}}'
[ "$code" = 409 ] || fail "an id that is there: $code $(answer)"
has "\"error\":\"node type 'Person' already has this id (line 1)\""
has '"key_conflict":{"entity_kind":"node","type_name":"Person","entity_id":"bob"}'
[ "$(rows node:Person)" = 2 ] || fail "rows of a refused load"

# --- merge: whole rows
loaded merge <<<'{"type":"Person","data":{"slug":"ann","mood":"calm"}}{"type":"Person","data":{"slug":"cy","mail":"a@b"}}'
export_to "$tmp/people" '{"type_names":["Person"]}'
diff "$tmp/people" - <<'X' || fail "merged rows"
{"type":"Person","data":{"id":"ann","age":null,"mail":null,"mood":"calm","slug":"ann"}}
{"type":"Person","data":{"id":"bob","age":null,"mail":null,"mood":null,"slug":"bob"}}
{"type":"Person","data":{"id":"cy","age":null,"mail":"a@b","mood":null,"slug":"cy"}}
X
load merge <<<'{"type":"Person","data":{"slug":"bob","mail":"a@b"}}'
[ "$code" = 400 ] || fail "a value that is held: $code"
has "@unique violation on Person.mail: value 'a@b' held by 'cy' and 'bob' (line 1)"
load merge <<<'{"edge":"Knows","from":"ann","to":"cy"}{"edge":"Knows","from":"ann","to":"ann"}'
[ "$code" = 400 ] || fail "too many edges: $code"
has "@card violation on edge Knows: source 'ann' has 3 edges (max 2) (line 1)"

# --- overwrite: these types alone, and no edge may be left behind
load overwrite <<<'{"type":"Person","data":{"slug":"bob"}}'
[ "$code" = 400 ] || fail "orphans: $code"
has "src 'ann' not found in Person"
loaded overwrite <<<'{"type":"Person","data":{"slug":"ann"}}{"type":"Person","data":{"slug":"dan"}}{"edge":"Knows","from":"dan","to":"ann"}'
[ "$(rows node:Person) $(rows edge:Knows) $(rows edge:Wrote) $(rows node:Note)" = "2 1 1 1" ] || fail "overwritten rows"

# --- export: filters, order, and back again
expect 400 POST /export '{"type_names":["person"]}'
has "unknown export type 'person'"
expect 400 POST /export '{"table_keys":["node:person"]}'
has "unknown export table 'node:person'"
expect 404 POST /export '{"branch":"none"}'
export_to "$tmp/all"
[ "$(cut -d'"' -f4 "$tmp/all" | tr '\n' ' ')" = "Knows On Wrote Day Note Person Person " ] || fail "order of tables: $(cat "$tmp/all")"
grep -qF '"data":{"id":"n1","at":"2026-05-01T08:30:00.250","on":5,"pic":"base64:aGk=","tags":["x",null],"text":"é\n","vec":[1.0,-0.5],"x":0.10000000149011612}}' \
	"$tmp/all" || fail "values: $(cat "$tmp/all")"
grep -q '"from":"n1","to":"19725"' "$tmp/all" || fail "an old spelling stands in an edge: $(cat "$tmp/all")"
stop
verified "$tmp/g"
new_graph "$tmp/h" "$schema"
serve "$tmp/h" --workers 1
loaded overwrite <"$tmp/all"
export_to "$tmp/again"
cmp "$tmp/all" "$tmp/again" || fail "an export that was loaded exports otherwise"

# --- rows by the thousand: segments instead of deltas
awk 'BEGIN { for (i = 0; i < 60000; i++) printf "{\"type\":\"Person\",\"data\":{\"slug\":\"p-%d\",\"age\":%d}}\n", i, i % 100
	for (i = 0; i < 60000; i++) printf "{\"edge\":\"Knows\",\"from\":\"p-%d\",\"to\":\"p-%d\"}\n", i, (i * 7919) % 60000 }' >"$tmp/many"
loaded append <"$tmp/many"
[ "$(rows node:Person) $(rows edge:Knows)" = "60002 60001" ] || fail "rows of a large load: $(rows node:Person) $(rows edge:Knows)"
expect 200 POST /query '{"query":"query q() { match { $p: Person { slug: \"p-3\" }  $p knows $q } return { $q.slug } }"}'
has '"q.slug":"p-23757"'
load append <"$tmp/many"
[ "$code" = 409 ] || fail "a large load again: $code"
has '(line 1)'
loaded merge < <(head -n 60000 "$tmp/many")
[ "$(rows node:Person)" = 60002 ] || fail "rows of a large merge: $(rows node:Person)"
export_to "$tmp/large"
[ "$(wc -l <"$tmp/large")" = 120007 ] || fail "a large export has $(wc -l <"$tmp/large") lines"
stop
verified "$tmp/h"
