# SPDX-License-Identifier: GPL-2.0-or-later
# One temporary folder, and every process that the demo starts, ended by its id.
# shellcheck shell=bash

process_setup()
{
	tmp=$(mktemp -d "${TMPDIR:-/tmp}/ksplit-demo.XXXXXX")
	pids=()
	trap process_cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

process_add() { pids+=("$1"); }

# Is it alive (a zombie is not)?
process_alive()
{
	local state

	state=$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 1
	[[ -n $state && $state != Z ]]
}

# SIGTERM, then SIGKILL after five seconds. The exit code stays to be had with wait.
process_end()
{
	local pid=$1 i

	kill -TERM "$pid" 2>/dev/null || return 0
	for ((i = 0; i < 50; i++)); do
		process_alive "$pid" || return 0
		sleep 0.1
	done
	kill -KILL "$pid" 2>/dev/null || true
}

process_cleanup()
{
	local status=$? i

	trap '' INT TERM HUP
	# The last started first: clients, proxy, origin.
	for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
		process_end "${pids[i]}"
		wait "${pids[i]}" 2>/dev/null || true
	done
	if [[ $status -ne 0 && $status -ne 130 ]]; then
		process_show_logs >&2
	fi
	rm -rf "$tmp"
	killed_cleanup
	kernel_unload_tls
	exit "$status"
}

process_show_logs()
{
	local file

	for file in "$tmp/ksplitd.log" "$tmp/origin/error.log" "$tmp/curl.err"; do
		[[ -s $file ]] || continue
		printf -- '--- last lines of %s\n' "${file##*/}"
		tail -n 15 "$file"
	done
}

# Wait until a command succeeds: wait_for SECONDS WHAT PID COMMAND... PID must stay alive.
wait_for()
{
	local seconds=$1 what=$2 pid=$3 end=$((SECONDS + $1))

	shift 3
	until "$@" >/dev/null 2>&1; do
		process_alive "$pid" || die "$what: its process has ended"
		[[ $SECONDS -lt $end ]] || die "$what: not within $seconds s"
		sleep 0.1
	done
}

# A free TCP port on 127.0.0.1, from the one given upwards.
port_free()
{
	local port=$1

	while [[ -n $(ss -Hltn "sport = :$port") ]]; do
		port=$((port + 1))
	done
	echo "$port"
}

port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
