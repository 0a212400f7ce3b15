#!/bin/sh
# From a fresh clone to an answered query: installs what is missing, builds, turns this machine's Debian package index into a graph,
# loads it, serves it and asks it questions. With --serve the server stays until Ctrl-C.
#
# Everything it makes lies in ./demo (OMNIGRAPH_DEMO_DIR): build, programs, data, graph.
set -eu

cd "$(dirname "$0")/.."
src=$PWD
dir=${OMNIGRAPH_DEMO_DIR:-$src/demo}
serve=no
[ "${1:-}" != --serve ] || serve=yes
say() { printf '\n== %s\n' "$*"; }

say "packages that building needs"
sh contrib/deps.sh --demo

if [ ! -x "$dir/prefix/bin/omnigraph" ] || [ -n "$(find lib og-* configure.ac Makefile.am -newer "$dir/prefix/bin/omnigraph" -name '*.[cham]*' -print -quit)" ]; then
	say "build (log: $dir/build.log)"
	mkdir -p "$dir/build"
	(
		{ [ -x configure ] || autoreconf -fi; } &&
			cd "$dir/build" &&
			"$src/configure" --prefix="$dir/prefix" CFLAGS='-O2 -g' &&
			make -j"$(nproc)" &&
			make install
	) >"$dir/build.log" 2>&1 || { tail -n 30 "$dir/build.log" >&2; exit 1; }
fi
PATH=$dir/prefix/bin:$PATH
export PATH

data=$dir/debian.jsonl
if [ ! -s "$data" ]; then
	say "this machine's package index as records"
	dump=$(mktemp)
	apt-cache dumpavail >"$dump"
	if [ "$(grep -c '^Package:' "$dump")" -lt 10000 ]; then
		# A machine that never ran apt-get update knows only what is installed.
		if [ "$(id -u)" = 0 ]; then apt-get update -qq; else sudo apt-get update -qq; fi
		apt-cache dumpavail >"$dump"
	fi
	contrib/demo/debian-jsonl <"$dump" >"$data.new"
	mv "$data.new" "$data"
	rm -f "$dump"
fi

graph=$dir/debian.graph
say "graph: omnigraph init and load"
rm -rf "$graph"
cd "$dir"
omnigraph init --schema "$src/contrib/demo/debian.pg" "$graph"
omnigraph load --data "$data" --mode overwrite "$graph"

say "server"
out=$dir/server.out
: >"$out"
omnigraph-server "$graph" --bind 127.0.0.1:0 --unauthenticated >"$out" 2>"$dir/server.log" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM
url=
while [ -z "$url" ]; do
	kill -0 "$server" 2>/dev/null || { cat "$dir/server.log" >&2; exit 1; }
	url=$(sed -n 's,^OMNIGRAPH_LISTEN_ADDR=,http://,p' "$out")
	[ -n "$url" ] || sleep 0.1
done
echo "listening on $url"

# The query file as a JSON string.
queries=$(awk '{ gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); printf "%s\\n", $0 }' "$src/contrib/demo/debian.gq")
ask() {
	curl -fsS -H 'Content-Type: application/json' \
		-d "{\"query\":\"$queries\",\"name\":\"$1\",\"params\":{\"$2\":\"$3\"}}" "$url/query"
	echo
}

say "What is libssl3?"
ask package name libssl3
say "How many packages need it, directly or not?"
ask needs name libssl3
say "Whose packages break when it is removed?"
ask breaks_whom name libssl3
say "What would gimp bring along, by section?"
ask brings_along name gimp

if [ "$serve" = yes ]; then
	cat <<EOF

The server goes on at $url. For example:
  curl -s $url/snapshot
  $dir/prefix/bin/omnigraph query --query $src/contrib/demo/debian.gq --name leaves --params '{"section":"games"}' $graph
Ctrl-C ends it.
EOF
	wait "$server"
else
	kill -TERM "$server"
	wait "$server" || true
	say "done (contrib/demo.sh --serve keeps the server)"
fi
