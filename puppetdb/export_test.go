package puppetdb

import (
	"context"
	"net"
)

// NewOver returns a client that reaches its server through dial.
func NewOver(cfg Config, dial func(ctx context.Context, network, addr string) (net.Conn, error)) (*Client, error) {
	c, err := New(cfg)
	if err == nil {
		c.http.HTTPClient.Transport.(*transport).current.DialContext = dial
	}
	return c, err
}
