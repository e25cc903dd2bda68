# SPDX-License-Identifier: GPL-2.0-or-later
# The origin's certificate and the forged leaf, as two clients get them, side by side.
# shellcheck shell=bash

# What the server at a port presents: first certificate to $2, whole chain to $2.chain.
certificate_fetch()
{
	local port=$1 file=$2

	# With a request: who leaves without one is taken for a client that refuses the leaf.
	printf 'HEAD / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$name" |
		openssl s_client -ign_eof -connect "127.0.0.1:$port" -servername "$name" -showcerts \
			>"$file.chain" 2>/dev/null || die "no TLS answer from port $port"
	openssl x509 -in "$file.chain" -out "$file"
}

# Everything that is shown of a certificate, in two calls: an emulated machine starts programs slowly.
certificate_read()
{
	local file=$1

	openssl x509 -in "$file" -noout -subject -issuer -serial -startdate -enddate \
		-dateopt iso_8601 -nameopt sep_comma_plus_space,sname >"$file.plain"
	openssl x509 -in "$file" -noout -text >"$file.text"
}

# One field of a certificate, one entry a line; "-" when it is not there. Fields are named as in the
# two outputs of openssl above.
certificate_field()
{
	local file=$1 field=$2 text

	case $field in
	subject | issuer) text=$(sed -n "s/^$field=//p" "$file.plain"); text=${text//, /$'\n'} ;;
	serial | notBefore | notAfter) text=$(sed -n "s/^$field=//p" "$file.plain") ;;
	key)
		text=$(sed -nE 's/^ *Public Key Algorithm: //p; s/^ *Public-Key: //p' "$file.text")
		text=${text//$'\n'/ }
		;;
	"Signature Algorithm") text=$(sed -nE "s/^ *$field: //p;T;q" "$file.text") ;;
	*)
		# From its heading to the next one, which is indented less than the values are.
		text=$(awk -v field="$field" '
			index($0, field ":") { inside = 1; next }
			match($0, /[^ ]/) && RSTART <= 13 { inside = 0 }
			inside && NF { sub(/^ +/, ""); gsub(/, /, "\n"); print }' "$file.text")
		;;
	esac
	printf '%s' "${text:--}"
}

# The DER of every attribute of the subject: values, order, RDN borders and string types.
certificate_subject_der()
{
	openssl x509 -in "$1" -noout -subject -nameopt RFC2253,dump_all,dump_der
}

# Row: label, openssl's name of the field, "same" (must be equal) or "ours" (ksplit's own).
certificate_row()
{
	local label=$1 field=$2 word=$3 left right

	left=$(certificate_field "$tmp/origin.crt" "$field")
	right=$(certificate_field "$tmp/leaf.crt" "$field")
	if [[ $word == same && $left != "$right" ]]; then
		row_beside "$label" "$left" "$right" "DIFFERS"
		die "the forged leaf must have the origin's $label"
	fi
	row_beside "$label" "$left" "$right" "$word"
}

certificate_show()
{
	certificate_fetch "$origin_port" "$tmp/origin.crt"
	certificate_fetch "$proxy_port" "$tmp/leaf.crt"
	certificate_read "$tmp/origin.crt"
	certificate_read "$tmp/leaf.crt"
	row_beside "" "ORIGIN (127.0.0.1:$origin_port)" "LEAF (127.0.0.1:$proxy_port)" ""
	certificate_row subject subject same
	certificate_row SAN "X509v3 Subject Alternative Name" same
	certificate_row "ext. usage" "X509v3 Extended Key Usage" same
	certificate_row constraints "X509v3 Basic Constraints" same
	certificate_row issuer issuer ours
	certificate_row serial serial ours
	certificate_row "not before" notBefore "in CA's"
	certificate_row "not after" notAfter "in CA's"
	certificate_row key key ours
	certificate_row signature "Signature Algorithm" ours
	certificate_row "key usage" "X509v3 Key Usage" ours
	certificate_row SKI "X509v3 Subject Key Identifier" ours
	certificate_row AKI "X509v3 Authority Key Identifier" ours
	certificate_row AIA "Authority Information Access" dropped
	certificate_row CRL "X509v3 CRL Distribution Points" dropped
	say ""
	check_equal "subject is byte for byte the origin's (values, order, string types)" \
		"$(certificate_subject_der "$tmp/origin.crt")" \
		"$(certificate_subject_der "$tmp/leaf.crt")"
	certificate_verify
}

certificate_verify()
{
	local host

	for host in "$name" img.cdn.example; do
		openssl verify -x509_strict -purpose sslserver -verify_hostname "$host" \
			-CAfile "$tmp/pki/ksplit-ca.pem" -untrusted "$tmp/leaf.crt.chain" \
			"$tmp/leaf.crt" >"$tmp/verify" 2>&1 || die "openssl verify: $(<"$tmp/verify")"
		check_ok "openssl verify -x509_strict -purpose sslserver -verify_hostname $host"
	done
	openssl verify -purpose sslserver -verify_ip 2001:db8::7 -CAfile "$tmp/pki/ksplit-ca.pem" \
		"$tmp/leaf.crt" >"$tmp/verify" 2>&1 || die "openssl verify: $(<"$tmp/verify")"
	check_ok "openssl verify -verify_ip 2001:db8::7"
}
