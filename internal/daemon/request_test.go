package daemon

import (
	"github.com/openinfrastructure/sluice/internal/store/storetest"
	"github.com/openinfrastructure/sluice/internal/tree"
)

func requestUnveto(name string) tree.Request {
	return tree.Request{Kind: tree.RequestUnveto, Rollout: name, Reason: "it was the network"}
}

// countWrites counts the leader's transactions from now on.
func (l *lab) countWrites() *int {
	n := new(int)
	l.l.faults.Plan(func(c storetest.Call) storetest.Fault {
		if c.Method == "Txn" {
			*n++
		}
		return storetest.Fault{}
	})
	return n
}
