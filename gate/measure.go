package gate

import (
	"fmt"
	"time"
)

// is gives what the gate looks at and what it compares that with. Counts are plain digits, shares percentages, times RFC 3339 in UTC, all
// else words. What is not known is "".
func (g Gate) is(value, limit any) Gate {
	g.Value, g.Limit = measure(value), measure(limit)
	return g
}

func measure(v any) string {
	switch v := v.(type) {
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.UTC().Format(time.RFC3339)
	case float64:
		return fmt.Sprintf("%.4g%%", 100*v)
	}
	return fmt.Sprint(v)
}

// asks names, for each gate, who answers for it where the gate itself names nobody more exactly.
var asks = map[string]string{
	GateApproval: "flags", GateBake: "schedule", GateBlast: "blast", GateCoverage: "analyzer", GateDeadline: "schedule", GateDelay: "flags", GateEdges: "edges",
	GateFreeze: "flags", GateGrowth: "schedule", GateHold: "caps", GatePause: "flags", GatePromote: "requests", GateRamp: "analyzer", GateRestored: "leader",
	GateSegment: "segments", GateSources: "PuppetDB, Prometheus", GateStart: "schedule", GateTurn: "leader", GateUnproven: "rollouts", GateVerdict: "analyzer",
	GateWindow: "schedule",
}

// sourced fills in who says so where a gate does not name it.
func sourced(gates []Gate) []Gate {
	for i := range gates {
		if gates[i].Source == "" {
			gates[i].Source = asks[gates[i].Name]
		}
	}
	return gates
}
