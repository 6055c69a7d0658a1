package intake

import (
	"fmt"

	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/puppetdb"
)

// Client makes a client as the configuration says.
func Client(conf *config.Config) (*puppetdb.Client, error) {
	cfg := puppetdb.Config{URL: conf.PuppetDB.URL, CAFile: conf.PuppetDB.CA, CertFile: conf.PuppetDB.Cert, KeyFile: conf.PuppetDB.Key}
	if conf.PuppetDB.TokenFile != "" {
		token, err := config.ReadToken(conf.PuppetDB.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("puppetdb.token_file: %w", err)
		}
		cfg.Token = token
	}
	client, err := puppetdb.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("puppetdb: %w", err)
	}
	return client, nil
}
