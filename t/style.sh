#!/bin/sh
# What a reader may count on in every file: it explains itself at its top, stays within 1,200 lines, refers to nothing outside this tree and to
# public standards; functions stay small. The size of functions is printed, and a fault only where more than 3 in 100 exceed 80 lines.
set -u
cd "$srcdir" || exit 99
fail=0

sources=$(find lib og-* t -name '*.[ch]' | sort)
all="$sources $(find lib og-* t contrib man \( -name '*.am' -o -name '*.sh' -o -name '*.py' -o -name '*.[0-9]' -o -name '*.gq' -o -name '*.pg' \) | sort)"
all="$all configure.ac Makefile.am README.md"

# complain TITLE LINES: a fault unless there are no lines.
complain() {
	[ -n "$2" ] || return 0
	echo "$1:"
	echo "$2" | head -n 20 | sed 's/^/    /'
	fail=1
}

# The patterns are put together here so that this file does not contain them.
outside='(schema|query|http|design|protocol|cli|access|versioning|cluster|style|data|encodings)[.]'md
workplace="[^a-z]/"'work(/|$)|hel''per-|[Ii]ssue'' #'
# shellcheck disable=SC2086
complain "names of documents that are not in this tree" "$(grep -nE "$outside" $all)"
# shellcheck disable=SC2086
complain "words of a workplace" "$(grep -nE "$workplace" $all)"
# shellcheck disable=SC2086
complain "white space at the end of a line" "$(grep -nE '[[:space:]]+$' $sources | cut -c 1-120)"
# shellcheck disable=SC2086
complain "files over 1,200 lines" "$(wc -l $sources | awk '$1 > 1200 && $2 != "total" && $2 !~ /^t\// { print $2 ": " $1 }')"
# shellcheck disable=SC2086
complain "files that do not say at their top what they are for" "$(awk 'FNR == 1 && !/^\/\*/ { print FILENAME }' $sources)"

# A release holds what a makefile names; a program's one source is named by the program.
named=$(cat Makefile.am $(find lib og-* t contrib man -name '*.am'))
complain "files that no makefile names, so that they would be missing from a release" "$(
	for file in $(find lib og-* t man contrib -type f ! -path '*/.deps/*' ! -name '*.[ao]' ! -name '.*' ! -name '*.log' ! -name '*.trs' ! -name '*.pyc' | sort); do
		name=${file##*/}
		case $named in *"/$name"* | *"/${name%.c} "* | *"/${name%.c}_"* | *"/${name%.c}
"*) ;; *) echo "$file" ;; esac
	done)"

# A function: a line that begins with a name and is no declaration, then its body between braces in the first column.
sizes=$(
	# shellcheck disable=SC2086
	awk '
	FNR == 1 { body = 0; prev = "" }
	/^[a-zA-Z_].*[^;]$/ && !/^(struct|enum|union|static const|typedef)[^()]*$/ { prev = $0 }
	/^\{/ { if (prev != "") { body = 1; start = FNR; name = prev } }
	/^\}/ { if (body) print FNR - start + 1, FILENAME ":" start; body = 0; prev = "" }
	' $sources | sort -n
)
echo "$sizes" | awk '
	{ size[NR] = $1; where[NR] = $2; if ($1 > 80) { over++; list = list "    " $1 " lines: " $2 "\n" } }
	END {
		printf "%d functions, median %d lines, 90%% within %d, longest %d; over 80: %d (%.1f%%)\n%s", NR,
			size[int((NR + 1) / 2)], size[int(NR * 0.9)], size[NR], over, 100 * over / NR, list
		exit over * 100 > NR * 3
	}' || { echo "too many long functions"; fail=1; }

[ "$fail" = 0 ] || exit 1
echo "style holds"
