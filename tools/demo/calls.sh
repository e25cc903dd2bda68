# SPDX-License-Identifier: GPL-2.0-or-later
# Real curl against ksplitd. It trusts ksplit's CA and nothing else, and checks names as ever.
# shellcheck shell=bash

# curl without the user's own settings, with names that lead to ksplitd: sets curl_command.
calls_command()
{
	local host

	curl_command=(curl -q --silent --show-error --noproxy '*' --max-time 300
		--connect-timeout 20 --cacert "$tmp/pki/ksplit-ca.pem")
	for host in "$name" "www.$name" img.cdn.example; do
		curl_command+=(--resolve "$host:$proxy_port:127.0.0.1")
	done
}

calls_curl()
{
	calls_command
	"${curl_command[@]}" "$@"
}

# One small GET: what is printed about it, host, expected HTTP version, curl's options.
calls_get()
{
	local what=$1 host=$2 version=$3 answer seconds

	shift 3
	answer=$(calls_curl "$@" -o "$tmp/answer" -w '%{http_code} HTTP/%{http_version} %{time_total}' \
		"https://$host:$proxy_port/hello.txt" 2>"$tmp/curl.err") ||
		die "curl $* https://$host: $(tail -n 1 "$tmp/curl.err")"
	seconds=${answer##* }
	[[ ${answer% *} == "200 HTTP/$version" ]] ||
		die "curl https://$host: expected 200 HTTP/$version, found ${answer% *}"
	cmp -s "$tmp/answer" "$tmp/origin/files/hello.txt" ||
		die "curl https://$host: another body than the origin's"
	printf '%s\t%s\t%s\t%s ms\n' "$what" "$host" "${answer% *}" \
		"$(awk -v s="$seconds" 'BEGIN { printf "%.1f", s * 1000 }')"
}

calls_small()
{
	local rows

	rows=$(
		printf 'call\thost\tanswer\ttime\n'
		calls_get "HTTP/1.1, TLS 1.3" "$name" 1.1 --http1.1 --tlsv1.3
		calls_get "HTTP/2, TLS 1.3" "$name" 2 --http2 --tlsv1.3
		calls_get "HTTP/2, TLS 1.2" "www.$name" 2 --http2 --tls-max 1.2
		calls_get "name under a wildcard" img.cdn.example 2 --http2
		calls_get "by IP address, no SNI" 127.0.0.1 1.1 --http1.1
	)
	table <<<"$rows"
}

calls_sha() { sha256sum "$1" | cut -d ' ' -f 1; }

# On an emulated CPU the rate would say nothing of ksplit.
calls_rate()
{
	[[ -z ${KSPLIT_VM:-} ]] || return 0
	awk -v mib="$1" -v s="$2" 'BEGIN { printf " (%.0f MiB/s)", mib / (s > 0 ? s : 0.001) }'
}

calls_bulk()
{
	local mib=$1 expected found seconds answer

	head -c "${mib}M" /dev/urandom >"$tmp/origin/files/bulk.bin"
	expected=$(calls_sha "$tmp/origin/files/bulk.bin")
	seconds=$(calls_curl --http1.1 -o "$tmp/down.bin" -w '%{time_total}' \
		"https://$name:$proxy_port/bulk.bin" 2>"$tmp/curl.err") ||
		die "download: $(tail -n 1 "$tmp/curl.err")"
	found=$(calls_sha "$tmp/down.bin")
	check_equal "download, HTTP/1.1: SHA-256 ${expected:0:16}...$(calls_rate "$mib" "$seconds")" \
		"$expected" "$found"

	head -c "${mib}M" /dev/urandom >"$tmp/down.bin"
	expected=$(calls_sha "$tmp/down.bin")
	answer=$(calls_curl --http2 -T "$tmp/down.bin" -o /dev/null -w '%{http_code} %{time_total}' \
		"https://$name:$proxy_port/up/bulk.bin" 2>"$tmp/curl.err") ||
		die "upload: $(tail -n 1 "$tmp/curl.err")"
	[[ ${answer% *} == 201 ]] || die "upload: expected 201, the origin said ${answer% *}"
	found=$(calls_sha "$tmp/origin/files/up/bulk.bin")
	check_equal "upload, HTTP/2:     SHA-256 ${expected:0:16}...$(calls_rate "$mib" "${answer#* }")" \
		"$expected" "$found"
	rm -f "$tmp/down.bin" "$tmp/origin/files/bulk.bin" "$tmp/origin/files/up/bulk.bin"
}

# An upload whose end is ours to decide: its connection stays open while the fifo does. The other
# fifos are closed in the new process, or it would keep them open too.
calls_hold_one()
{
	local n=${#hold_pids[@]} fd

	mkfifo "$tmp/hold.$n"
	calls_command
	(
		for fd in "${hold_fds[@]}"; do
			exec {fd}>&-
		done
		exec "${curl_command[@]}" "$@" -T - -o /dev/null -w '%{http_code}' \
			"https://$name:$proxy_port/up/hold.$n" \
			<"$tmp/hold.$n" >"$tmp/hold.$n.code" 2>"$tmp/hold.$n.err"
	) &
	hold_pids+=("$!")
	process_add "$!"
	exec {fd}>"$tmp/hold.$n"
	hold_fds+=("$fd")
	echo "part one" >&"$fd"
}

calls_hold()
{
	hold_pids=() hold_fds=()
	calls_hold_one --http1.1 --tlsv1.3 --tls13-ciphers TLS_AES_256_GCM_SHA384
	calls_hold_one --http2 --tlsv1.3 --tls13-ciphers TLS_CHACHA20_POLY1305_SHA256
	calls_hold_one --http1.1 --tls-max 1.2 --ciphers ECDHE-ECDSA-AES128-GCM-SHA256
	wait_for 60 "three connections in relay" "$proxy_pid" calls_are_open "${#hold_pids[@]}"
}

# Does ksplitd hold this many connections to the origin, all past their handshakes?
calls_are_open()
{
	[[ $(proxy_status connections --json |
		jq '[.connections[] | select(.state == "relay")] | length') == "$1" ]]
}

calls_release()
{
	local i fd code

	for i in "${!hold_pids[@]}"; do
		fd=${hold_fds[i]}
		echo "part two" >&"$fd"
		exec {fd}>&-
		wait "${hold_pids[i]}" || die "held upload $i: $(tail -n 1 "$tmp/hold.$i.err")"
		code=$(<"$tmp/hold.$i.code")
		[[ $code == 201 ]] || die "held upload $i: expected 201, the origin said $code"
		cmp -s "$tmp/origin/files/up/hold.$i" - <<<$'part one\npart two' ||
			die "held upload $i: other bytes reached the origin"
	done
	check_ok "the ${#hold_pids[@]} held uploads were finished in order and reached the origin whole"
}
