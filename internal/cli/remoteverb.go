package cli

import (
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/internal/verb"
)

// verbAnswer is what the API says of a verb that it carried out, or did not.
type verbAnswer struct {
	Verb    string   `json:"verb"`
	Said    []string `json:"said"`
	Request string   `json:"request"`
	Taken   bool     `json:"taken"`
	Error   string   `json:"error"`
}

// askFor lets sluiced carry a verb out, and says what it says.
func (p *program) askFor(c *cobra.Command, r *remote, v verb.Verb, ask verb.Ask) error {
	wait, err := time.ParseDuration(ask.Wait)
	if err != nil {
		wait = 0 // the verb waits for nobody
	}
	var a verbAnswer
	status, err := r.ask(c.Context(), http.MethodPost, "verbs/"+v.Path(), ask, &a, wait+answerWithin)
	if err != nil {
		return err
	}
	for _, line := range a.Said {
		fmt.Fprintln(c.OutOrStdout(), line)
	}
	switch {
	case a.Error != "" && (status == http.StatusForbidden || status == http.StatusServiceUnavailable):
		return fmt.Errorf("%s: %s", r.base, a.Error)
	case a.Error != "":
		return &exitError{exitOf(status), a.Error}
	case status != http.StatusOK && status != http.StatusAccepted || a.Verb != v.Name:
		return &unreachable{r.base, fmt.Errorf("expected what became of %s, got status %d", v.Name, status), true}
	case a.Taken && (v.Name == "start" || v.Name == "revert"):
		return p.started(c, r, a.Request, ask)
	}
	return nil
}

// exitOf is the exit code of a verb that was not carried out, or waits longer than was to be waited.
func exitOf(status int) int {
	switch status {
	case http.StatusAccepted:
		return ExitTimeout
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return ExitUsage
	case http.StatusConflict:
		return ExitConflict
	}
	return ExitError
}
