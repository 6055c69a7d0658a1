package consultest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
)

type ports struct{ HTTP, Server, Serf int }

// freePorts picks below the range from which systems hand out ports for outgoing
// connections, so that a chosen port stays free until it is used.
func freePorts() (ports, error) {
	var p ports
	for _, port := range []*int{&p.HTTP, &p.Server, &p.Serf} {
		for try := 0; *port == 0; try++ {
			if try == 1000 {
				return ports{}, errors.New("no free port on 127.0.0.1 between 15000 and 32000")
			}
			if n := 15000 + rand.IntN(17000); n != p.HTTP && n != p.Server && portFree(n) {
				*port = n
			}
		}
	}
	return p, nil
}

func portFree(n int) bool {
	addr := fmt.Sprintf("127.0.0.1:%d", n)
	tcp, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	defer udp.Close()
	return true
}

type object = map[string]any

// writeConfig differs from a production server in the loopback addresses, in quick
// elections, and in sessions that may live for one second.
func (s *Server) writeConfig() error {
	config, err := json.MarshalIndent(object{
		"server":               true,
		"bootstrap_expect":     1,
		"node_name":            "consultest",
		"data_dir":             filepath.Join(s.Dir, "data"),
		"bind_addr":            "127.0.0.1",
		"client_addr":          "127.0.0.1",
		"log_level":            "info",
		"disable_update_check": true,
		"session_ttl_min":      "1s",
		"performance":          object{"raft_multiplier": 1},
		// Puppetservers ask agents of their own; here all of them have one address. 200 is the default.
		"limits":  object{"http_max_conns_per_client": 10_000},
		"connect": object{"enabled": false},
		"ports": object{
			"http": s.ports.HTTP, "server": s.ports.Server, "serf_lan": s.ports.Serf,
			"serf_wan": -1, "dns": -1, "https": -1, "grpc": -1, "grpc_tls": -1,
		},
		"acl": object{"enabled": true, "default_policy": "deny", "enable_token_persistence": true},
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.Dir, "consul.json"), config, 0o600)
}
