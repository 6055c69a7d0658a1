package consultest

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/hashicorp/consul/api"

	policies "github.com/openinfrastructure/sluice/deploy/consul"
)

// Config is the client configuration for a token. Connections are not kept, so that
// no goroutine outlives a request.
func (s *Server) Config(token string) *api.Config {
	return &api.Config{
		Address:   s.Addr,
		Scheme:    "http",
		Token:     token,
		Transport: &http.Transport{DisableKeepAlives: true},
	}
}

// Client is a client with a token; "" is the anonymous one, which may do nothing.
func (s *Server) Client(token string) (*api.Client, error) { return api.NewClient(s.Config(token)) }

// Token creates a token with one shipped policy ("leader", "edge-web1", see
// policies.Rules) and returns its secret. Its description is "sluice " and the name.
func (s *Server) Token(policy string) (string, error) {
	return s.TokenFor("sluice "+policy, policy)
}

// TokenFor is Token with a description, which is what the store's Identity shows.
func (s *Server) TokenFor(description, policy string) (string, error) {
	rules, err := policies.Rules(policy)
	if err != nil {
		return "", err
	}
	client, err := s.Client(s.Management)
	if err != nil {
		return "", err
	}
	name := "sluice-" + strings.ReplaceAll(policy, ".", "-")
	if err := install(client, name, rules); err != nil {
		return "", err
	}
	token, _, err := client.ACL().TokenCreate(&api.ACLToken{
		Description: description,
		Policies:    []*api.ACLTokenPolicyLink{{Name: name}},
	}, nil)
	if err != nil {
		return "", fmt.Errorf("create token with policy %s: %w", name, err)
	}
	return token.SecretID, nil
}

// install creates the policy unless an earlier token brought it.
func install(client *api.Client, name, rules string) error {
	have, _, err := client.ACL().PolicyReadByName(name, nil)
	if err != nil {
		return fmt.Errorf("read policy %s: %w", name, err)
	}
	if have != nil {
		return nil
	}
	if _, _, err := client.ACL().PolicyCreate(&api.ACLPolicy{Name: name, Rules: rules}, nil); err != nil {
		return fmt.Errorf("create policy %s: %w", name, err)
	}
	return nil
}

// Save writes a snapshot of everything to a file.
func (s *Server) Save(ctx context.Context, path string) error {
	client, err := s.Client(s.Management)
	if err != nil {
		return err
	}
	snapshot, _, err := client.Snapshot().Save((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	defer snapshot.Close()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.ReadFrom(snapshot); err != nil {
		f.Close()
		return fmt.Errorf("save snapshot: %w", err)
	}
	return f.Close()
}

// Restore puts a saved snapshot in place of everything, tokens included.
func (s *Server) Restore(ctx context.Context, path string) error {
	client, err := s.Client(s.Management)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := client.Snapshot().Restore((&api.WriteOptions{}).WithContext(ctx), f); err != nil {
		return fmt.Errorf("restore snapshot %s: %w", path, err)
	}
	return nil
}
