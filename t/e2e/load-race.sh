#!/bin/bash
# Loads beside mutations and other loads: no edge without its ends, no value twice, no row lost, whoever wins.
. "${srcdir:-.}/t/e2e/lib.sh"

schema='node Hub { name: String @key  mail: String? @unique }
node Leaf { name: String @key }
edge At: Leaf -> Hub @card(0..1)'
new_graph "$tmp/g" "$schema"
serve "$tmp/g" --workers 2

rounds=25
post() { curl -sS -m 60 -o "$tmp/out.$1" -w '%{http_code}\n' -H 'Content-Type: application/json' -d "$3" "$url/$2" >>"$tmp/codes.$1" 2>>"$tmp/curl"; }

# Each adds leaves of its own, all at one hub, and claims one value again and again.
loader() {
	local i
	for i in $(seq $rounds); do
		post "$1" ingest '{"mode":"'"$2"'","data":"{\"type\":\"Leaf\",\"data\":{\"name\":\"'"$1-$i"'\"}}\n{\"type\":\"Hub\",\"data\":{\"name\":\"'"$1-$i"'\",\"mail\":\"m'"$i"'\"}}\n{\"edge\":\"At\",\"from\":\"'"$1-$i"'\",\"to\":\"hub\"}"}'
	done
}
# Takes the hub away, with its edges, and puts it back.
breaker() {
	local i
	for i in $(seq $rounds); do
		post breaker mutate '{"query":"query d() { delete Hub where name = \"hub\" }"}'
		post breaker mutate '{"query":"query i() { insert Hub { name: \"hub\" } }"}'
	done
}
post setup mutate '{"query":"query i() { insert Hub { name: \"hub\" } }"}'
[ "$(cat "$tmp/codes.setup")" = 200 ] || fail "setup: $(cat "$tmp/out.setup")"
loader a append & p1=$!
loader b merge & p2=$!
loader c merge & p3=$!
breaker & p4=$!
wait $p1 $p2 $p3 $p4
# A load finds the hub or not, and the value free or not; or it loses five races.
for who in a b c; do
	[ "$(wc -l <"$tmp/codes.$who")" = $rounds ] || fail "$who: answers are missing"
	! grep -qv '^200$\|^400$\|^409$' "$tmp/codes.$who" || fail "$who: $(sort "$tmp/codes.$who" | uniq -c) $(cat "$tmp/out.$who")"
done
cat "$tmp"/codes.[abc] | grep -q '^200$' || fail "no load got through"

curl -fsS -m 60 -H 'Content-Type: application/json' -d '{}' -o "$tmp/all" "$url/export" || fail "export"
values=$(grep -o '"mail":"[^"]*"' "$tmp/all" | sort)
[ "$values" = "$(uniq <<<"$values")" ] || fail "a unique value is held twice: $(uniq -d <<<"$values")"
done_loads=$(cat "$tmp"/codes.[abc] | grep -c '^200$')
[ "$(grep -c '"type":"Leaf"' "$tmp/all")" = "$done_loads" ] || fail "$done_loads loads were acknowledged: $(grep -c '"type":"Leaf"' "$tmp/all") leaves"
stop
verified "$tmp/g"

# What it exports is whole: every end is there.
new_graph "$tmp/h" "$schema"
serve "$tmp/h" --workers 1
printf '{"mode":"overwrite","data":"%s"}' "$(sed 's/\\/\\\\/g; s/"/\\"/g; s/$/\\n/' "$tmp/all" | tr -d '\n')" >"$tmp/request"
expect 200 POST /ingest "@$tmp/request"
stop
