#!/bin/sh
# The layers hold: a module includes only modules below it, and each program links only what it may.
set -u
fail=0
order="base json proc ipc http net aws embed store format journal policy schema gq search image engine graph config load client cluster api"

rank() {
	n=0
	for m in $order; do
		n=$((n + 1))
		[ "$m" != "$1" ] || { echo $n; return; }
	done
	echo 0
}

for dir in "$srcdir"/lib/*/; do
	module=$(basename "$dir")
	mine=$(rank "$module")
	[ "$mine" != 0 ] || { echo "lib/$module is in no layer"; fail=1; }
	for used in $(sed -n 's,^#include "\([a-z]*\)/.*,\1,p' "$dir"*.c "$dir"*.h 2>/dev/null | sort -u); do
		its=$(rank "$used")
		if [ "$its" = 0 ] || [ "$its" -gt "$mine" ]; then
			echo "lib/$module includes $used/, which is not below it:"
			grep -l "^#include \"$used/" "$dir"*.c "$dir"*.h
			fail=1
		fi
	done
done

# defines PROGRAM PREFIX...: no symbol of that module may have been linked.
lacks() {
	program=$1
	shift
	[ -x "$program" ] || { echo "$program is not built"; fail=1; return; }
	for prefix; do
		found=$(nm --defined-only "$program" 2>/dev/null | awk -v p="$prefix" 'index($3, p) == 1 { print $3; exit }')
		[ -z "$found" ] || { echo "$program links $found"; fail=1; }
	done
}

lacks "$builddir/og-worker/og-worker" og_journal_ og_store_ og_state_ og_logobj_
lacks "$builddir/og-storaged/og-storaged" og_catalog_ gq_ og_view_ og_img_ og_exec_ og_graph_ og_load_ og_api_ og_http_server_
lacks "$builddir/og-master/og-master" og_journal_ og_store_ og_catalog_ gq_ og_view_ og_http_server_ og_api_
lacks "$builddir/og-cli/og-cli" og_journal_ og_http_server_ og_api_
[ "$fail" = 0 ] || exit 1
echo "layers hold"
