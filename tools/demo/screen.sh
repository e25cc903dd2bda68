# SPDX-License-Identifier: GPL-2.0-or-later
# What the demo prints: steps with elapsed seconds, and tables that fit 100 columns.
# shellcheck shell=bash

screen_setup()
{
	colour=${KSPLIT_DEMO_COLOUR:-}
	if [[ -z $colour ]]; then
		[[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]] && colour=1 || colour=0
	fi
	bold="" dim="" green="" red="" plain=""
	if [[ $colour == 1 ]]; then
		bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
	fi
	step_now=0 steps=0
}

say() { printf '%s\n' "$*"; }
note() { printf '    %s%s%s\n' "$dim" "$*" "$plain"; }
good() { printf '%s%s%s\n' "$green" "$*" "$plain"; }

die()
{
	printf '%sdemo: %s%s\n' "${red:-}" "$*" "${plain:-}" >&2
	exit 1
}

step_total() { steps=$1; }

step()
{
	step_now=$((step_now + 1))
	printf '\n%s[%d/%d %3d s] %s%s\n' "$bold" "$step_now" "$steps" \
		"$((SECONDS - started))" "$*" "$plain"
}

# A comparison that must hold: prints it, or ends the demo with what differs.
check_equal()
{
	local what=$1 expected=$2 found=$3

	[[ $expected == "$found" ]] ||
		die "$what: expected '$expected', found '$found'"
	printf '    %s%-4s%s %s\n' "$green" ok "$plain" "$what"
}

check_ok() { printf '    %s%-4s%s %s\n' "$green" ok "$plain" "$*"; }

# Prints tab-separated lines as a table with columns as wide as their widest entry; the first line
# is its head. (column(1) is not part of a base system.)
table()
{
	awk -F '\t' -v bold="$bold" -v plain="$plain" '
		{
			row[NR] = $0
			for (i = 1; i <= NF; i++)
				if (length($i) > width[i])
					width[i] = length($i)
		}
		END {
			for (n = 1; n <= NR; n++) {
				fields = split(row[n], cell, "\t")
				line = ""
				for (i = 1; i < fields; i++)
					line = line sprintf("%-" width[i] "s  ", cell[i])
				line = line cell[fields]
				printf "    %s%s%s\n", n == 1 ? bold : "", line, n == 1 ? plain : ""
			}
		}'
}

# Lines of at most $1 characters: sets the array `folded`.
fold_text()
{
	local width=$1 line

	folded=()
	while IFS= read -r line; do
		while [[ ${#line} -gt $width ]]; do
			folded+=("${line:0:width}")
			line=${line:width}
		done
		folded+=("$line")
	done <<<"$2"
}

# One row of the two certificates: field, two texts of any number of lines, and a word at the end.
# Texts are folded to their column.
row_beside()
{
	local field=$1 word=$4 i lines line width=36
	local -a folded left right

	fold_text $width "$2"
	left=("${folded[@]}")
	fold_text $width "$3"
	right=("${folded[@]}")
	lines=$((${#left[@]} > ${#right[@]} ? ${#left[@]} : ${#right[@]}))
	for ((i = 0; i < lines; i++)); do
		printf -v line '%-*s  %-*s %s' $width "${left[i]:-}" $width "${right[i]:-}" "$word"
		printf '  %s%-11s%s %s\n' "$bold" "$field" "$plain" "${line%"${line##*[! ]}"}"
		field="" word=""
	done
}
