package fleetsim

import "math"

// mix is a hash of numbers (SplitMix64's finalizer over each). Everything random in a fleet is mix of the seed, what it is
// for, the node and the run, so that no order of evaluation can change it.
func mix(parts ...uint64) uint64 {
	h := uint64(0x9e3779b97f4a7c15)
	for _, p := range parts {
		h ^= p
		h += 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}

// unit is mix as a number in [0,1).
func unit(parts ...uint64) float64 { return float64(mix(parts...)>>11) / (1 << 53) }

// gauss is mix as a standard normal number.
func gauss(parts ...uint64) float64 {
	a, b := unit(append(parts, 1)...), unit(append(parts, 2)...)
	return math.Sqrt(-2*math.Log(1-a)) * math.Cos(2*math.Pi*b)
}

// What a random number is for.
const (
	forPhase uint64 = iota + 1
	forDatacenter
	forRole
	forOS
	forFailing
	forNoop
	forSpeed
	forSkew
	forJoin
	forLeave
	forSplay
	forRun
	forOutage
	forSkip
	forFailed
	forChanged
	forCorrective
	forEffect
	forMetric
	forDelay
	forUUID
	forFault
	forAdmission
)

// pick chooses from sorted names by cumulated shares.
func pick(u float64, cumulated []float64) int {
	for i, c := range cumulated {
		if u < c {
			return i
		}
	}
	return len(cumulated) - 1
}
