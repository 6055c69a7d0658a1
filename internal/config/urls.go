package config

import (
	"fmt"
	"net/url"
	"strings"
)

// url checks the base URL of a service.
func (v *validator) url(path, text string) {
	u := v.httpURL(path, text)
	if u != nil && (u.RawQuery != "" || u.Fragment != "" || u.ForceQuery) {
		v.add(path, "expected a URL without a query or fragment")
	}
}

// hookURL checks a URL that may have a query.
func (v *validator) hookURL(path, text string) { v.httpURL(path, text) }

// httpURL returns the parsed URL, or nil and a problem that shows no secret.
func (v *validator) httpURL(path, text string) *url.URL {
	if strings.TrimSpace(text) == "" {
		v.add(path, "expected a URL such as https://host.example.com:8081")
		return nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		v.add(path, "is not a URL: expected one such as https://host.example.com:8081")
	case u.User != nil:
		v.add(path, "expected no user name or password in a URL, use a token_file")
	case u.Scheme != "http" && u.Scheme != "https":
		v.add(path, "expected http:// or https:// before the host, got %s", safe(text))
	case u.Hostname() == "":
		v.add(path, "expected a host after %s://, got %s", u.Scheme, safe(text))
	default:
		return u
	}
	return nil
}

// safe quotes a value that may be a URL, unless it may hold a password.
func safe(text string) string {
	if strings.Contains(text, "@") {
		return "a value with an @ in it"
	}
	return fmt.Sprintf("%q", text)
}

// maskURL keeps scheme and host of a URL whose path is a secret.
func maskURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "<secret>"
	}
	if strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && u.Fragment == "" && u.User == nil {
		return text
	}
	return u.Scheme + "://" + u.Host + "/<secret>"
}
