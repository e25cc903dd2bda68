// SPDX-License-Identifier: GPL-2.0-or-later

// Go's net/http as a client of the interoperability tests; what it reads and writes: tests/lib/visits.py.
// The authority that it trusts is named by SSL_CERT_FILE.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func step(client *http.Client, url, method string, body []byte) (string, error) {
	var content io.Reader
	if method == "POST" {
		content = bytes.NewReader(body)
	}
	request, err := http.NewRequest(method, url, content)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	digest := sha256.New()
	if _, err := io.Copy(digest, response.Body); err != nil {
		return "", err
	}
	version := strings.TrimSuffix(strings.TrimPrefix(response.Proto, "HTTP/"), ".0")
	if response.Proto == "HTTP/1.0" {
		version = "1.0"
	}
	return fmt.Sprintf("%d %s %x %s", response.StatusCode, version, digest.Sum(nil),
		response.TLS.PeerCertificates[0].Issuer.CommonName), nil
}

func main() {
	body, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	// Go keeps sessions by name, and here every origin has the same.
	configs := map[string]*tls.Config{}
	visits := bufio.NewScanner(os.Stdin)
	for number := 0; visits.Scan(); number++ {
		words := strings.Fields(visits.Text())
		if configs[words[0]] == nil {
			configs[words[0]] = &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(0)}
		}
		transport := &http.Transport{TLSClientConfig: configs[words[0]].Clone(),
			ForceAttemptHTTP2: words[1] == "2"}
		client := &http.Client{Transport: transport}
		for at := 2; at+1 < len(words); at += 2 {
			answer, err := step(client, "https://localhost:"+words[0]+words[at+1], words[at], body)
			if err != nil {
				answer = "error " + err.Error()
			}
			fmt.Println(number, answer)
		}
		transport.CloseIdleConnections()
	}
}
