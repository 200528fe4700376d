// GET through a proxy with Go's own TLS: get PROXY CA URL...
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
	client := &http.Client{Transport: &http.Transport{
		Proxy:             http.ProxyURL(proxy),
		TLSClientConfig:   &tls.Config{RootCAs: pool},
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
