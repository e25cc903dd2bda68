# SPDX-License-Identifier: GPL-2.0-or-later
# What the kernel itself says: is TLS in it, which sockets carry it, what did it count.
# shellcheck shell=bash

# Tried, not guessed: a connected loopback socket is given the TLS ULP.
kernel_has_tls()
{
	[[ $EUID -ne 0 ]] || kernel_load_tls
	/usr/bin/python3 - <<-END
	import socket, sys
	server = socket.create_server(("127.0.0.1", 0))
	client = socket.create_connection(server.getsockname())
	try:
	    client.setsockopt(socket.IPPROTO_TCP, 31, b"tls")  # TCP_ULP
	except OSError:
	    sys.exit(1)
	END
}

# A module that was not there before leaves again with the demo.
kernel_load_tls()
{
	[[ -e /sys/module/tls ]] && return
	modprobe --quiet tls 2>/dev/null || return 0
	tls_loaded=1
}

kernel_unload_tls()
{
	[[ ${tls_loaded:-0} == 0 ]] || modprobe --quiet --remove tls 2>/dev/null || true
}

kernel_read_stat() { cat /proc/net/tls_stat >"$1" 2>/dev/null || : >"$1"; }

# Before and after, where a counter has moved.
kernel_show_stat()
{
	if [[ $ktls == 0 ]]; then
		note "(no /proc/net/tls_stat: this kernel has no kernel TLS)"
		return
	fi
	kernel_read_stat "$tmp/tls_stat.after"
	awk 'BEGIN { print "/proc/net/tls_stat\tbefore\tafter" }
		NR == FNR { before[$1] = $2; next }
		before[$1] + 0 != $2 + 0 || $1 ~ /DecryptError/ { print $1 "\t" before[$1] + 0 "\t" $2 }' \
		"$tmp/tls_stat.before" "$tmp/tls_stat.after" | table
	check_equal "no record that the kernel could not decrypt" \
		"$(awk '$1 == "TlsDecryptError" { print $2 }' "$tmp/tls_stat.before")" \
		"$(awk '$1 == "TlsDecryptError" { print $2 }' "$tmp/tls_stat.after")"
}

# ksplitd's sockets as `ss -ti` tells them: side, local, peer, ULP, version, cipher, rxconf, txconf.
kernel_list_sockets()
{
	local side filter

	for side in client origin; do
		[[ $side == client ]] && filter="sport = :$proxy_port" || filter="dport = :$origin_port"
		ss -HtniO state established "$filter" | awk -v side="$side" '
			function after(key,  i) {
				for (i = 1; i < NF; i++)
					if ($i == key)
						return $(i + 1)
				return "-"
			}
			{
				ulp = "none"
				for (i = 1; i <= NF; i++)
					if ($i ~ /^tcp-ulp-/)
						ulp = substr($i, 9)
				print side "\t" $3 "\t" $4 "\t" ulp "\t" after("version:") "\t" \
					after("cipher:") "\t" after("rxconf:") "\t" after("txconf:")
			}'
	done
}

kernel_show_open()
{
	local rows held=${#hold_pids[@]} full

	proxy_status connections
	say ""
	rows=$(kernel_list_sockets)
	note "ss -tiO on ksplitd's own sockets: one to each client, one to the origin"
	printf 'side\tlocal\tpeer\tULP\tversion\tcipher\trxconf\ttxconf\n%s\n' "$rows" | table
	if grep -q $'\ttls\t1[^\t]*\t-\t' <<<"$rows"; then
		note "cipher -: this ss ($(ss --version | sed 's/.*iproute2-//;s/,.*//')) has no name for CHACHA20-POLY1305"
	fi
	if [[ $ktls == 0 ]]; then
		return
	elif [[ $EUID -ne 0 ]]; then
		note "(the kernel tells TLS details to CAP_NET_ADMIN only: run as root to see them)"
		return
	fi
	full=$(awk -F '\t' '$4 == "tls" && $7 == "sw" && $8 == "sw"' <<<"$rows" | wc -l)
	check_equal "sockets with kernel TLS in both directions" "$((2 * held))" "$full"
}
