# SPDX-License-Identifier: GPL-2.0-or-later
# ksplitd as a newcomer would start it, and what it tells of itself.
# shellcheck shell=bash

proxy_start()
{
	local command relay=auto

	# The default takes recv and send for small messages; here the splice is to be seen.
	[[ $ktls == 0 ]] || relay=splice
	proxy_port=$(port_free 18443)
	command=("$build/ksplitd" --foreground
		--listen "127.0.0.1:$proxy_port" --to "127.0.0.1:$origin_port"
		--ca-cert "$tmp/pki/ksplit-ca.pem" --ca-key "$tmp/pki/ksplit-ca.key"
		--upstream-ca "$tmp/pki/origin-ca.pem" --relay "$relay"
		--control "$tmp/control.sock" --access-log "$tmp/access.log")
	"${command[@]}" >"$tmp/ksplitd.log" 2>&1 &
	proxy_pid=$!
	process_add "$proxy_pid"
	wait_for 60 "ksplitd" "$proxy_pid" "$build/ksplit-status" --control "$tmp/control.sock"
	note "ksplitd --listen 127.0.0.1:$proxy_port --to 127.0.0.1:$origin_port \\"
	note "        --ca-cert ksplit-ca.pem --ca-key ksplit-ca.key \\"
	note "        --upstream-ca origin-ca.pem --relay $relay"
	[[ $relay == auto ]] ||
		note "(the default, --relay auto, sends small messages by recv and send instead)"
}

proxy_status() { "$build/ksplit-status" --control "$tmp/control.sock" "$@"; }

# SIGTERM must end it in order, with exit code 0.
proxy_stop()
{
	local status=0

	process_end "$proxy_pid"
	wait "$proxy_pid" || status=$?
	check_equal "ksplitd ended in order on SIGTERM (exit code)" 0 "$status"
	[[ ! -e $tmp/control.sock ]] || die "ksplitd left its control socket behind"
}

# The access log, its lines of connections; each is there only once the connection has ended.
proxy_show_log()
{
	local lines=$1

	wait_for 30 "$lines lines in the access log" "$proxy_pid" proxy_log_has "$lines"
	{
		printf 'ALPN\tclient side\torigin side\tkTLS\tto origin\tto client\tend\n'
		proxy_log | jq -r "$proxy_log_row"
	} | table
	note "kTLS: how many of the four directions (receive and send, client and origin) the kernel has"
	note "truncated_by_client: curl closes HTTP/2 without close_notify, and that is what is told"
	check_equal "no connection ended in another way than curl's own" 0 \
		"$(proxy_log | jq -s '[.[] | select(.reason != "closed" and
			(.alpn != "h2" or .reason != "truncated_by_client"))] | length')"
	[[ $ktls == 1 ]] || return 0
	note "the sampler sees heads: they go by recv and send, and HTTP/2 does all the way"
	check_equal "of HTTP/1.1's bulk transfers more than 99 % went by splice" 0 \
		"$(proxy_log | jq -s '[.[] | select(.alpn == "http/1.1") | .to_origin, .to_client |
			select(.bytes > 1000000 and .spliced < .bytes * 0.99)] | length')"
	check_equal "no connection had a direction outside the kernel" 0 \
		"$(proxy_log | jq -r "$proxy_log_row" | awk -F '\t' '$4 != "4/4"' | wc -l)"
}

proxy_log() { grep '"type":"connection"' "$tmp/access.log"; }

proxy_log_has() { [[ $(proxy_log | wc -l) -ge $1 ]]; }

# shellcheck disable=SC2016  # $x are jq's
readonly proxy_log_row='
	def short: . // "-" | sub("^TLS_"; "") | sub("^ECDHE_[A-Z]+_WITH_"; "") |
		sub("_SHA[0-9]+$"; "") | sub("_POLY1305"; "") | sub("AES_"; "AES-") | sub("_GCM"; "");
	def tls: if . == null then "-" else (.version | sub("^TLSv"; "")) + " " + (.cipher | short) end;
	def size: if . < 1048576 then "\(.) B" else "\(. / 1048576 | round) MiB" end;
	def flow: (if .spliced > 0 then "splice" else .relay end) + " " + (.bytes | size);
	[ (.alpn // "-"), (.client_tls | tls), (.upstream_tls | tls),
	  "\([.client_tls.ktls[]?, .upstream_tls.ktls[]? | select(. == true)] | length)/4",
	  (.to_origin | flow), (.to_client | flow), .reason ] | @tsv'

proxy_show_status()
{
	proxy_status
	proxy_status requests --top 8
	proxy_status kernel | sed -n '/^Sampler/,/^  why/p'
}
