package analyzer

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/openinfrastructure/sluice/analyzer/stats"
)

// Account is what a check's budget has come to when a stage begins. The zero value has seen nothing: no stage before.
//
// A stage goes on from the evidence of those before it. With r_j the likelihood ratio of alternative j against no effect over the
// first runs of all earlier stages, M = 1/2 + Σ r_j/6 has the mean 1 if the change does nothing, so a test at the level
//
//	alpha·M·(planned so far − spent)
//
// still rejects with no more than alpha in all stages together: M·(1 − spent) is what is left, and no stage spends more of it than
// it takes away (Ville 1939; alpha-wealth of Foster and Stine 2008). A change that harms makes M grow, one that does not halves it
// at most, so that harm of later stages alone is not missed.
type Account struct {
	// Spent is the part of the check's budget that earlier stages have spent (0..1).
	Spent float64 `json:"spent"`
	// Against are the r_j; empty means that all are 1.
	Against []float64 `json:"against,omitempty"`
}

// JudgedAgain gives the accounts with which a stage is judged once more, since the one after it has come to nothing: what it began with, but for
// what has been spent by then (now, as of that later stage). It sees what it saw before, which must not count twice; and no error
// that was risked is had back.
func JudgedAgain(began, now map[string]Account) map[string]Account {
	out := make(map[string]Account, len(now))
	for check, a := range now {
		out[check] = Account{Spent: a.Spent, Against: began[check].Against}
	}
	return out
}

// LeftByOrder gives the accounts that follow the first n of so many stages where a person ordered the last of them to be left: people look
// before they order, and with what they saw decide how much is spent. So all counts as spent that those stages might have.
func LeftByOrder(left map[string]Account, n, stages int) map[string]Account {
	out := make(map[string]Account, len(left))
	for check, a := range left {
		out[check] = Account{Spent: max(a.Spent, planned(n, stages)), Against: a.Against}
	}
	return out
}

// alternatives of an account: hazard ratios of events, and drifts of a statistic Z by the root of its information.
const alternatives = 3

var (
	accountHazards = [alternatives]float64{3, 6, 12}
	accountDrifts  = [alternatives]float64{.07, .14, .28}
)

// mostLevel is the most that a single stage may ever spend on one check: beyond that its verdict would rest on earlier stages alone.
const mostLevel = .05

// leastLevel stands for nothing left: a test needs a level above 0.
const leastLevel = 1e-12

// weight is M.
func (a Account) weight() float64 {
	if len(a.Against) == 0 {
		return 1
	}
	m := .5
	for _, r := range a.Against {
		m += float64(r) / (2 * alternatives)
	}
	return m
}

// valid says what is wrong with an account, "" if nothing is.
func (a Account) valid() string {
	if !(a.Spent >= 0 && a.Spent <= 1) {
		return fmt.Sprintf("has spent %v of its budget, expected 0 to 1", a.Spent)
	}
	if n := len(a.Against); n != 0 && n != alternatives {
		return fmt.Sprintf("has %d likelihood ratios, expected %d", n, alternatives)
	}
	for _, r := range a.Against {
		if !(r >= 0) || math.IsInf(r, 1) {
			return fmt.Sprintf("has the likelihood ratio %v, expected a number of at least 0", r)
		}
	}
	return ""
}

// account is what the check has left at the beginning of this stage. Where no stage before has left one, each of them counts as
// having spent all that it might have.
func (c *cohorts) account(check string) Account {
	if a, known := c.evidence.Accounts[check]; known {
		return a
	}
	return Account{Spent: planned(c.evidence.StageIndex, c.stages())}
}

func (c *cohorts) stages() int { return max(c.evidence.Stages, c.evidence.StageIndex+1) }

// level is the error that a check with this budget may spend in this stage: with all that earlier stages did not spend, and as
// much more or less as they have shown.
func (c *cohorts) level(check string, budget float64) float64 {
	return c.levelAfter(check, budget, c.account(check).Spent)
}

// levelAfter is the level where so much of the budget is taken as spent.
func (c *cohorts) levelAfter(check string, budget, spent float64) float64 {
	soFar := planned(c.evidence.StageIndex+1, c.stages())
	return min(max(float64(budget*float64(c.account(check).weight()*(soFar-spent))), leastLevel), mostLevel)
}

// carried is by how much the level of this stage is more, or less, for what earlier stages showed.
func (c *cohorts) carried(check string, budget float64) float64 {
	a := c.account(check)
	without := budget * (planned(c.evidence.StageIndex+1, c.stages()) - a.Spent)
	if without <= 0 {
		return a.weight()
	}
	return min(a.weight(), mostLevel/without)
}

// planned is the part of a budget that the first n of so many stages may spend: as many parts of it as there are stages. Of more than
// six, as with a stage for each datacenter, only half of it is divided so, lest the first ones see nothing; of the other half each may
// spend a sixth of what is left.
func planned(n, stages int) float64 {
	even := float64(n) / float64(stages)
	if n >= stages || stages <= 6 {
		return even
	}
	return float64(even/2) + float64((1-math.Pow(5./6, float64(n)))/2)
}

// close is the account at the end of the stage, of which spent is the error and logs are the logarithms of the likelihood ratios.
// What is written is rounded against the check, so that a few digits are enough.
func (a Account) close(budget, spent float64, logs [alternatives]float64) Account {
	out := Account{Spent: min(1, math.Ceil(1e5*(a.Spent+float64(spent/float64(budget*a.weight()))))/1e5)}
	for i, l := range logs {
		if len(a.Against) > 0 {
			l += math.Log(a.Against[i])
		}
		out.Against = append(out.Against, fewDigits(l))
	}
	return out
}

// fewDigits is the exponential of a logarithm, rounded down to three digits, at most mostAgainst and 0 below 1e-4.
func fewDigits(log float64) float64 {
	r := math.Exp(min(log, math.Log(mostAgainst)))
	if !(r >= 1e-4) {
		return 0
	}
	exponent := int(math.Floor(math.Log10(r))) - 2
	out, _ := strconv.ParseFloat(fmt.Sprintf("%de%d", int(r/math.Pow10(exponent)), exponent), 64) // a product would not be the shortest
	return out
}

const mostAgainst = 1e9

// against is what the events of a check in this stage say for each alternative, as logarithms of likelihood ratios: of each event,
// whether a canary or a control had it, given that one of those at risk did. A canary is at risk for so long after its admission as
// a change takes to show: its later failures are the fleet's own more often, and would wash out what the first said.
func (c *cohorts) against(check int) (logs [alternatives]float64) {
	window := c.policy.showsWithin(check).Milliseconds()
	for _, e := range c.frame.log(check) {
		y1, y0 := e.of.lately(check, e.at, window)
		if e.canary && e.since >= window || y1 == 0 || y0 == 0 {
			continue
		}
		q := float64(y1) / float64(y1+y0)
		for i, theta := range accountHazards {
			if e.canary {
				logs[i] += math.Log(theta)
			}
			logs[i] -= math.Log1p(float64(q * (theta - 1)))
		}
	}
	return logs
}

// showsWithin is the time after its admission in which a node shows most of what a change does to it: in its first run, by silence
// one interval later, and by changing again and again in the third.
func (p Policy) showsWithin(check int) time.Duration {
	run := time.Duration(p.Silence.Interval + p.Silence.Splay)
	switch check {
	case silenceEvents:
		return 2 * run
	case convergenceEvents:
		return 3 * run
	}
	return run
}

// accounts are those of all checks, as they stand if the stage ends now.
func (c *cohorts) accounts(checks []Check, looks []MagnitudeLook) map[string]Account {
	out := make(map[string]Account, eventChecks+magnitudes)
	for i, name := range eventNames {
		at := slices.IndexFunc(checks, func(made Check) bool { return made.Name == name })
		if at < 0 || checks[at].Bound == nil {
			continue // it failed to compare, and counts as having spent its all
		}
		budget := float64(c.policy.Alpha * budgetShares[i])
		out[name] = c.account(name).close(budget, checks[at].Bound.Spent, c.against(i))
	}
	for i, name := range magnitudeNames {
		budget := float64(c.policy.Alpha * magnitudeShares[i])
		spent, logs := 0.0, [alternatives]float64{}
		for _, l := range looks { // the last one of this check in this stage stands for all
			if l.Check == name && l.Stage == c.evidence.StageIndex {
				spent, logs = stats.LDOF(c.level(name, budget), l.T), drift(l)
			}
		}
		out[name] = c.account(name).close(budget, spent, logs)
	}
	return out
}

// drift is what a look says for each alternative: Z of mean d·√I and variance 1 against mean 0.
func drift(l MagnitudeLook) (logs [alternatives]float64) {
	for i, d := range accountDrifts {
		logs[i] = float64(d*l.Z)*math.Sqrt(l.Information) - float64(d*d*l.Information)/2
	}
	return logs
}

// accountProblems lists what makes the accounts of the evidence unfit.
func (e *Evidence) accountProblems() (out []string) {
	for _, check := range slices.Sorted(maps.Keys(e.Accounts)) {
		if why := e.Accounts[check].valid(); why != "" {
			out = append(out, "the account of "+check+" "+why)
		}
	}
	return out
}
