package walk

// Faults that the model can be given, what each stands for, and the invariants of which one breaks first. None of them is in
// the program: they are places in the model where a leader or a puppetserver does something else than the design says.
var mutations = []struct{ name, what, breaks string }{
	{"no cas", "a leader writes although others wrote since it read", "one writer"},
	{"no latch", "a pause ends when its flag is deleted", "no growth with a closed gate"},
	{"salt by leader", "positions depend on who leads", "in order, ramp, stability, admitted once, document, nodes keep the change"},
	{"stale is fresh", "no data counts as fresh data", "no growth with a closed gate"},
	{"absent passes", "nodes that were not heard of count as exposed", "no growth with a closed gate, ramp"},
	{"bad is not seen", "a failed run does not reach the judge", "no growth with a closed gate"},
	{"ramp ignored", "a stage takes all its nodes at once", "ramp"},
	{"window ignored", "a stage starts outside its window", "no growth with a closed gate"},
	{"hold ignored", "a hold is not looked up", "a held node never gains, no growth with a closed gate"},
	{"hold takes the change", "a hold takes the change from nodes that have it", "nodes keep the change"},
	{"held come back at once", "the nodes of a hold that has ended come back past gates and ramp", "no growth with a closed gate, ramp, stops act at once"},
	{"cut-out ends with its key", "nodes that were cut out come back when the key is deleted", "a cut-out stays"},
	{"veto forgotten", "a backed-out change may be started again by anybody", "a backed-out change stays out"},
	{"edge forgets stops", "a puppetserver forgets its latched stops when it restarts", "latched stops stay, restart"},
	{"edge takes older", "a puppetserver accepts an older document", "bad documents change nothing"},
	{"edge unlimited", "a puppetserver takes a document without its speed limit", "speed limit"},
	{"edge lifts caps", "a puppetserver drops caps", "caps win, a document admits"},
	{"edge goes on paused", "a puppetserver lets thresholds grow under a pause", "stops act at once, latched stops stay"},
	{"thresholds reset", "a new leader begins a stage again", "monotone"},
	{"empty document", "a puppetserver takes an empty document for one without rollouts", "nodes keep the change"},
	{"orders for any stage", "a promotion leaves whatever stage the rollout is in by then", "no growth with a closed gate, an order is for one stage"},
	{"blast ignored", "a leader knows of no limit on unproven change", "unproven change is bounded"},
	{"departures ignored", "any number of nodes may leave a stage with the inventory", "no growth with a closed gate"},
	{"reverts begin as asked", "a revert that waited is not asked whether what it undoes is still in force", "a revert undoes one rollout"},
	{"skips forgotten", "a skip that was ordered is not on record", "a skipped stage admits nobody"},
	{"restore accepted", "a store that is behind its edges goes on by itself", "no growth with a closed gate"},
}
