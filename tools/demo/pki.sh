# SPDX-License-Identifier: GPL-2.0-or-later
# Two CAs that nobody else trusts: one stands for the public CA that signed the origin, the other
# is the one that ksplitd forges with. Keys live in the temporary folder and die with it.
# shellcheck shell=bash

readonly name=shop.example

pki_config()
{
	cat <<-END
	[req]
	prompt = no
	string_mask = utf8only
	distinguished_name = none
	[none]
	[ca]
	basicConstraints = critical, CA:TRUE
	keyUsage = critical, keyCertSign, cRLSign
	subjectKeyIdentifier = hash
	[origin]
	subjectAltName = DNS:$name, DNS:www.$name, DNS:*.cdn.example, DNS:api.example, \
		IP:127.0.0.1, IP:2001:db8::7
	extendedKeyUsage = serverAuth, clientAuth
	basicConstraints = critical, CA:FALSE
	keyUsage = critical, digitalSignature, keyEncipherment
	subjectKeyIdentifier = hash
	authorityKeyIdentifier = keyid
	authorityInfoAccess = OCSP;URI:http://ocsp.example/
	crlDistributionPoints = URI:http://crl.example/ca.crl
	END
}

pki_make_ca()
{
	local file=$1 algorithm=$2 subject=$3

	shift 3
	openssl req -x509 -newkey "$algorithm" "$@" -nodes -sha384 -days 30 -subj "$subject" \
		-config "$tmp/pki/openssl.cnf" -extensions ca \
		-keyout "$tmp/pki/$file.key" -out "$tmp/pki/$file.pem" 2>/dev/null
}

pki_make()
{
	mkdir -m 700 "$tmp/pki"
	pki_config >"$tmp/pki/openssl.cnf"
	pki_make_ca ksplit-ca ec "/O=ksplit demo/CN=ksplit demo CA" \
		-pkeyopt ec_paramgen_curve:P-256
	pki_make_ca origin-ca ec "/C=DE/O=Example Trust/CN=Example Trust Root E1" \
		-pkeyopt ec_paramgen_curve:P-384
	# An RDN with two attributes, and three string types: printable, UTF-8 and IA5.
	openssl req -new -newkey rsa:2048 -nodes -sha256 -config "$tmp/pki/openssl.cnf" \
		-subj "/C=DE/O=Example Shop/OU=Web+OU=Team 7/CN=$name/emailAddress=web@$name" \
		-keyout "$tmp/pki/origin.key" -out "$tmp/pki/origin.csr" 2>/dev/null
	openssl x509 -req -in "$tmp/pki/origin.csr" -sha384 -days 20 -set_serial 0x1f2e3d4c5b6a79 \
		-CA "$tmp/pki/origin-ca.pem" -CAkey "$tmp/pki/origin-ca.key" \
		-extfile "$tmp/pki/openssl.cnf" -extensions origin \
		-out "$tmp/pki/origin.pem" 2>/dev/null
	note "origin: RSA-2048, six names, two of them IP addresses, signed by \"Example Trust Root E1\""
	note "ksplit: P-256 CA \"ksplit demo CA\", trusted by nothing but this demo's curl"
}
