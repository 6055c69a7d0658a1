package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/bcrypt"
)

// Identity is who makes a write. It comes from the connection, never from a
// field of the request's body.
type Identity struct {
	// Name is the certificate's common name, the user's name, or
	// "loopback (unverified)".
	Name string
	// How is "certificate", "basic" or "loopback".
	How string
}

type identityKey struct{}

// IdentityFrom returns who makes the request; there is always an answer for a
// write that reaches a handler, and none for a read.
//
// It says who, not what they may do. Where the client CA is the Puppet CA,
// every node of the fleet has a certificate: client_allowed_sans in the web
// configuration file then has to name the people and systems that may write.
func IdentityFrom(ctx context.Context) (Identity, bool) {
	id, ok := ctx.Value(identityKey{}).(Identity)
	return id, ok
}

// guard lets writes pass only with an identity.
type guard struct {
	next          http.Handler
	webConfigFile string
}

// handler puts the guard around next. A browser's cross-origin writes are
// refused before: they carry their user's credentials and address.
func (g guard) handler() http.Handler {
	origin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("X-Frame-Options", "DENY")
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions:
			g.next.ServeHTTP(w, r)
			return
		}
		if err := origin.Check(r); err != nil {
			forbid(w, r, err.Error())
			return
		}
		id, err := g.identify(r)
		if err != nil {
			forbid(w, r, "writes are refused: "+err.Error())
			return
		}
		g.next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, id)))
	})
}

// forbid refuses in JSON where the API is asked.
func forbid(w http.ResponseWriter, r *http.Request, text string) {
	if !strings.HasPrefix(r.URL.Path, "/api/") {
		http.Error(w, text, http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": text})
}

var errNobody = errors.New("expected a client certificate, basic authentication (--web.config.file) or a request from loopback")

func (g guard) identify(r *http.Request) (Identity, error) {
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		if name := r.TLS.PeerCertificates[0].Subject.CommonName; name != "" {
			return Identity{Name: name, How: "certificate"}, nil
		}
	}
	users, err := basicUsers(g.webConfigFile)
	if err != nil {
		return Identity{}, err
	}
	if len(users) > 0 {
		return basic(r, users)
	}
	if fromLoopback(r) {
		return Identity{Name: "loopback (unverified)", How: "loopback"}, nil
	}
	return Identity{}, errNobody
}

// basic checks the password although the toolkit has done so: between its
// reading of the file and ours the first users may have been added, and a
// request that it passed without a check must not become theirs.
func basic(r *http.Request, users map[string]string) (Identity, error) {
	name, password, _ := r.BasicAuth()
	hash, ok := users[name]
	if !ok || bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) != nil {
		return Identity{}, errNobody
	}
	return Identity{Name: name, How: "basic"}, nil
}

// basicUsers reads the users of an exporter-toolkit file; names to bcrypt hashes.
func basicUsers(file string) (map[string]string, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("web config file: %w", err)
	}
	var config struct {
		Users map[string]string `yaml:"basic_auth_users"`
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("web config file %s: %w", file, err)
	}
	return config.Users, nil
}

// fromLoopback reports whether the request was made on this host and for it.
// A proxy's requests also come from loopback, and so do a browser's for any
// name that an attacker's DNS resolves to 127.0.0.1: neither counts.
func fromLoopback(r *http.Request) bool {
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if len(r.Header.Values(h)) > 0 {
			return false
		}
	}
	return loopbackAddr(r.RemoteAddr) && loopbackHost(r.Host)
}

// loopbackAddr reports whether "IP:PORT" is a loopback address.
func loopbackAddr(address string) bool {
	a, err := netip.ParseAddrPort(address)
	return err == nil && a.Addr().IsLoopback()
}

// loopbackHost reports whether a Host header, with or without a port, names
// this host by "localhost" or by a loopback address.
func loopbackHost(host string) bool {
	if name, port, err := net.SplitHostPort(host); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return false
		}
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Zone() == "" && a.IsLoopback()
}
