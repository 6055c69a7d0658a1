package analyzer

import "time"

// Outcome says how one run ended, seen from a rollout.
type Outcome string

// The outcomes, in the order in which Classify asks for them (ok is what is left).
const (
	HiddenCompileFailure Outcome = "hidden_compile_failure"
	CompileFailed        Outcome = "compile_failed"
	Failed               Outcome = "failed"
	Noop                 Outcome = "noop"
	NotExposed           Outcome = "not_exposed"
	OK                   Outcome = "ok"
)

// Failure reports whether the outcome counts against the node's cohort.
func (o Outcome) Failure() bool {
	return o == HiddenCompileFailure || o == CompileFailed || o == Failed
}

// Values of Run.Status and Run.CachedCatalog, as PuppetDB spells them.
const (
	statusChanged   = "changed"
	statusUnchanged = "unchanged"

	cacheNotUsed   = "not_used"
	cacheOnFailure = "on_failure"
)

// Metrics that Classify reads, named category/name.
const (
	metricConvertCatalog  = "time/convert_catalog"
	metricChanges         = "changes/total"
	metricCorrective      = "resources/corrective_change"
	metricFailedToRestart = "resources/failed_to_restart"
	metricRetrieval       = "time/config_retrieval"
)

// Run is one agent report, normalised from PuppetDB.
type Run struct {
	Hash        string `json:"hash"`
	Certname    string `json:"certname"`
	Environment string `json:"environment"`
	// Status is failed, changed or unchanged.
	Status string `json:"status"`
	Noop   bool   `json:"noop"`
	// CachedCatalog is not_used, explicitly_requested, on_failure, or empty for null.
	CachedCatalog string `json:"cached_catalog"`
	// CatalogUUID is empty for null: the run had no catalog.
	CatalogUUID          string `json:"catalog_uuid"`
	CodeID               string `json:"code_id"`
	ConfigurationVersion string `json:"configuration_version"`
	// Start and End are the agent's clock, Produced the puppetserver's, Received PuppetDB's.
	Start    time.Time `json:"start"`
	End      time.Time `json:"end"`
	Produced time.Time `json:"produced"`
	Received time.Time `json:"received"`
	// Tainted: the node ran under another change that was backed out since. What failed then explains no later failure:
	// a second try of a bad change must not be excused by the first.
	Tainted bool `json:"tainted,omitempty"`
	// Detail is nil where it was not fetched.
	Detail *Detail `json:"detail,omitempty"`
}

// Detail is the costly part of a report, fetched for failed runs and hidden compile failures.
type Detail struct {
	// Metrics by category/name, for example resources/failed.
	Metrics  map[string]float64 `json:"metrics,omitempty"`
	Failures []Failure          `json:"failures,omitempty"`
}

// Values of Failure.Kind.
const (
	KindResource = "resource"
	KindCompile  = "compile"
)

// Failure is one thing that failed in a run.
type Failure struct {
	// Kind is resource or compile.
	Kind string `json:"kind"`
	// Resource is Type[title], empty for a compile error.
	Resource string `json:"resource"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Message  string `json:"message"`
}

// Classification is what one report says about a rollout.
type Classification struct {
	Outcome Outcome `json:"outcome"`
	// Exposed: the run applied a fresh catalog of the candidate. A failed run can be exposed.
	Exposed bool `json:"exposed"`
	// Changed: the run altered the node, whatever its status says.
	Changed bool `json:"changed"`
	// Corrective: Puppet put something back; counted as Puppet counts it.
	Corrective bool `json:"corrective"`
}

// Classify reads the structured fields of one report, never its log texts. candidate
// is the environment that proves exposure.
//
// Without Detail a failed run that had no catalog is a compile failure: a failing
// prerun_command looks the same but for one metric, and the heavier reading is the
// safe one. Changed falls back to the status then, and Corrective to false.
func (r Run) Classify(candidate string) Classification {
	c := Classification{
		Outcome: r.outcome(candidate),
		Exposed: candidate != "" && r.Environment == candidate && r.fresh(),
		Changed: r.Status == statusChanged,
	}
	if r.Detail != nil {
		if n, ok := r.Detail.Metrics[metricChanges]; ok {
			c.Changed = n > 0
		}
		c.Corrective = r.Detail.Metrics[metricCorrective] > 0
	}
	return c
}

func (r Run) outcome(candidate string) Outcome {
	switch {
	case r.CachedCatalog == cacheOnFailure:
		return HiddenCompileFailure
	case r.failed() && r.CatalogUUID == "" && !r.converted():
		return CompileFailed
	case r.failed():
		return Failed
	case r.Noop:
		return Noop
	case candidate == "" || r.Environment != candidate || !r.fresh():
		return NotExposed
	}
	return OK
}

// failed: a status that is not known to be good is a failure.
func (r Run) failed() bool {
	return r.Status != statusChanged && r.Status != statusUnchanged
}

// fresh: the run enforced a catalog that was compiled for it.
func (r Run) fresh() bool {
	return r.CachedCatalog == cacheNotUsed && !r.Noop && r.CatalogUUID != ""
}

// converted: the agent got as far as turning a catalog into resources.
func (r Run) converted() bool {
	if r.Detail == nil {
		return false
	}
	_, ok := r.Detail.Metrics[metricConvertCatalog]
	return ok
}

// speaks: the run tried a fresh catalog for real, so it can repeat or clear a failure.
func (r Run) speaks() bool {
	return !r.Noop && (r.CachedCatalog == cacheNotUsed || r.CachedCatalog == cacheOnFailure)
}
