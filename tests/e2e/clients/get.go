// GET through a proxy with Go's own TLS: get PROXY CA URL... With TLS_VERSION=TLSv1.2 (or another) that version alone.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
)

func main() {
	proxy, err := url.Parse(os.Args[1])
	check(err)
	pem, err := os.ReadFile(os.Args[2])
	check(err)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		check(fmt.Errorf("no certificate in %s", os.Args[2]))
	}
	config := &tls.Config{RootCAs: pool}
	if name := os.Getenv("TLS_VERSION"); name != "" {
		config.MinVersion = map[string]uint16{"TLSv1": tls.VersionTLS10, "TLSv1.1": tls.VersionTLS11,
			"TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}[name]
		config.MaxVersion = config.MinVersion
	}
	client := &http.Client{Transport: &http.Transport{
		Proxy:             http.ProxyURL(proxy),
		TLSClientConfig:   config,
		ForceAttemptHTTP2: true,
	}}
	for _, address := range os.Args[3:] {
		answer, err := client.Get(address)
		check(err)
		body, err := io.ReadAll(answer.Body)
		check(err)
		fmt.Printf("%d %s %s", answer.StatusCode, answer.Proto, body)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
