package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const testdata = "../../testdata/config"

// bad gives, for every bad-*.yml, the lines that Load must say after the name
// of the file.
var bad = map[string][]string{
	"parameters-proof":           {`:1: puppetdb.parameters_proof: "time", expected catalog or run`},
	"anchor":                     {`:7: edges: anchors and aliases are not supported, write the value out`},
	"cert-over-http":             {`:1: puppetdb.url: expected https:// with ca, cert and key, which http:// does not use`},
	"cert-without-key":           {`:1: puppetdb: expected both cert and key, or neither`},
	"consul-address":             {`:7: store.consul.address: expected host:port, http://, https:// or unix://, got "consul.example.com"`},
	"consul-prefix":              {`:7: store.consul.prefix: expected a prefix such as sluice/, without a slash before and with one after it, got "/sluice"`},
	"consul-socket":              {`:7: store.consul.address: expected the absolute path of a socket after unix://, got "unix://run/consul.sock"`},
	"dir-and-consul":             {`:7: store: expected exactly one of consul and dir`},
	"edges-local":                {`:7: edges.local: expected store.dir: with Consul the edge has consul-template`},
	"duplicate-key":              {`:7: tracks: is given twice, first on line 2`},
	"edges-max-age":              {`:7: edges.max_age: 1m is more than edges.live, 30s: an edge would no longer count before it is late`},
	"empty":                      {`: is empty, expected a configuration`},
	"blast":                      {`:7: blast.by: expected by and domain_limit together`, `:7: blast.domain_limit: expected a percentage from 0% to 100%, got "200%"`, `:7: blast.limit: expected a number of nodes above 0 or up to 100%, got 0`},
	"blast-by":                   {`:7: blast.by: expected an attribute such as facts.datacenter or enc.datacenter, got "datacenter"`, `:7: blast.by: expected by and domain_limit together`},
	"blast-empty":                {`:7: blast: expected limit, or by and domain_limit`},
	"enc-concurrency":            {`:7: enc.concurrency: expected at least 1, got 0`},
	"enc-relative":               {`:7: enc.command: expected the absolute path of a command and its arguments, got "bin/enc --json"`},
	"explicit-tag":               {`:7: controller.state_dir: explicit tag !!binary is not supported`},
	"grafana-token":              {`:7: grafana.token_file: expected the file of a service account token`},
	"listen-address":             {`:7: web.listen_address: expected host:port such as 127.0.0.1:9631, got "9631"`},
	"merge-key":                  {`:7: edges: expected a plain key, got "<<"`},
	"missing-puppetdb-url":       {`:1: puppetdb.url: expected a URL such as https://host.example.com:8081`},
	"negative-interval":          {`:7: controller.interval: expected a duration such as 30s, 1h30m or 1d, got "-10s"`},
	"no-schedules":               {`:1: schedules: expected at least one schedule`},
	"no-tracks":                  {`:1: tracks: expected at least one track, such as production: {}`},
	"no-value":                   {`:7: edges: has no value, give one or leave the key out`},
	"only-comments":              {`: is empty, expected a configuration`},
	"policy-coverage":            {`:7: policies.default.coverage: 1.5, expected more than 0 and at most 1`},
	"policy-direction":           {`:11: policies.default.slis[0].direction: "", expected increase, decrease or either`},
	"policy-node-regexp":         {":14: policies.default.slis[0].node: error parsing regexp: missing closing ): `(web`"},
	"policy-promql-range":        {`:12: policies.default.slis[0].query: expected an instant vector or a scalar, got a matrix`},
	"policy-promql":              {`:12: policies.default.slis[0].query: 1:27: parse error: unclosed left parenthesis`},
	"policy-without-prometheus":  {`:9: policies.default.slis: expected prometheus.url, which SLIs need`},
	"root-is-list":               {`:1: expected a mapping, got a list`},
	"schedule-bake-runs":         {`:7: schedules.careful.stages[0].bake.runs: expected at least 1 Puppet run, got 0`},
	"schedule-certified":         {`:7: schedules.careful.stages[0].pass: certified needs a control, and the stage takes everyone with no holdback`},
	"schedule-deadline":          {`:8: schedules.careful.stages[0].deadline.after: 1d is not longer than the bake of 2d`},
	"schedule-growth":            {`:7: schedules.careful.growth: expected a factor of at least 1, got 0.5`},
	"schedule-in-flight":         {`:7: schedules.careful.stages[0].ramp.in_flight: the stage could never admit a node`},
	"schedule-name":              {`:4: schedules."very careful": expected a name that matches [a-z0-9][a-z0-9_-]* and has at most 63 characters`},
	"schedule-no-stages":         {`:3: schedules.careful.stages: expected 1 to 100 stages, got 0`},
	"schedule-nobody-left":       {`:7: schedules.careful.stages[1]: nobody is left: stages[0] admits everyone`},
	"schedule-nodes-and-percent": {`:8: schedules.careful.stages[0].percent: expected exactly one of nodes and percent, got both`},
	"schedule-nodes-zero":        {`:6: schedules.careful.stages[0].percent: neither nodes nor percent is above zero: the stage would admit nobody`},
	"schedule-percent-bare":      {`:7: schedules.careful.stages[0].percent: expected a percentage such as 5% or 0.01%, got "5"`},
	"schedule-percent-over-100":  {`:7: schedules.careful.stages[0].percent: expected a percentage from 0% to 100%, got "150%"`},
	"schedule-percent-zero":      {`:7: schedules.careful.stages[0].percent: neither nodes nor percent is above zero: the stage would admit nobody`},
	"schedule-shrinks":           {`:7: schedules.careful.stages[1].percent: 1% is not more than the 5% of stages[0] in the same segment`},
	"schedule-stage-twice":       {`:7: schedules.careful.stages[1].name: stage "all" is already stages[0]`},
	"schedule-start":             {`:7: schedules.careful.start.not_before: expected a time such as 2027-01-31T08:00:00+01:00, got "2027-01-31"`},
	"schedule-supersede":         {`:7: schedules.careful.supersede: expected one of queue, train, replace, got "never"`},
	"schedule-unknown-segment":   {`:7: schedules.careful.stages[0].segment: segment "fra1" is not known`},
	"schedule-unknown-window":    {`:7: schedules.careful.stages[0].windows[0]: window "office" is not known`},
	"segment-certname-twice":     {`:7: segments.few.certnames[2]: "a" is already certnames[0]`},
	"segment-certname":           {`:7: segments.few.certnames[1]: expected a certname in lower case, or a glob such as web*.example.com, got "WEB2.example.com"`},
	"segment-name":               {`:7: segments.FRA1: expected a name that matches [a-z0-9][a-z0-9_-]* and has at most 63 characters`},
	"segment-no-certnames":       {`:7: segments.few.certnames: expected at least one certname`},
	"segment-no-kind":            {`:7: segments.few: expected exactly one of selector, pql, certnames, any_of, all_of and not, got 0 of them`},
	"segment-percent-zero":       {`:7: segments.few.percent: is 0%, which is nobody`},
	"segment-pql":                {`:7: segments.few.pql: expected a query for certname alone, such as nodes[certname]{ … }, got "nodes { deactivated is null }"`},
	"segment-two-kinds":          {`:7: segments.few: expected exactly one of selector, pql, certnames, any_of, all_of and not, got 2 of them`},
	"selector-attribute":         {`:7: segments.few: selector {fact.os="a"}: unknown attribute "fact.os"; expected certname, facts.NAME, trusted.NAME or enc.NAME`},
	"selector-empty":             {`:7: segments.few: expected exactly one of selector, pql, certnames, any_of, all_of and not, got 0 of them`},
	"selector-enc":               {`:7: segments.few: enc.datacenter is not known without enc.command`},
	"selector-regexp":            {":7: segments.few: selector {certname=~\"web(.*\"}: failed to create matcher: error parsing regexp: missing closing ): `^(?:web(.*)$`; expected matchers such as {enc.datacenter=\"fra1\", certname=~\"web.*\"}"},
	"selector":                   {`:7: segments.few: selector {certname="a: 10:12: "a: missing end ": expected label value; expected matchers such as {enc.datacenter="fra1", certname=~"web.*"}`},
	"several": {
		`:1: puppetdb.poll_interval: expected a duration such as 30s, 1h30m or 1d, got "soon"`,
		`:1: puppetdb.url: expected a URL such as https://host.example.com:8081`,
		`:2: tracks.stag-ing: expected a name of letters, digits and _, as Puppet environments have`,
		`:7: schedules.careful.stages[0].percent: expected a percentage from 0% to 100%, got "200%"`,
		`:8: schedules.careful.stages[0].pass: expected one of clean, certified, got "maybe"`,
	},
	"syntax":                 {`:1: not YAML: did not find expected ',' or '}'`},
	"tab":                    {`:2: indented with a tab, expected spaces`},
	"track-name":             {`:2: tracks.my-production: expected a name of letters, digits and _, as Puppet environments have`},
	"two-documents":          {`:7: a second YAML document begins, expected one`},
	"unknown-key-in-track":   {`:2: tracks.production.environment: unknown key, expected none`},
	"unknown-key":            {`:1: puppetdb.pol_interval: unknown key, expected one of ca, cert, history, inventory_interval, key, max_lag, max_queue_depth, measured, overlap, parameters_proof, poll_interval, token_file, url`},
	"unknown-section":        {`:7: puppet_db: unknown key, expected one of blast, controller, edges, enc, freezes, grafana, policies, prometheus, puppetdb, schedules, segments, store, tracks, web, webhooks, windows`},
	"url-unreadable":         {`:7: webhooks[0].url: is not a URL: expected one such as https://host.example.com:8081`},
	"url-with-password":      {`:1: puppetdb.url: expected no user name or password in a URL, use a token_file`},
	"url-with-query":         {`:1: puppetdb.url: expected a URL without a query or fragment`},
	"url-without-host":       {`:1: puppetdb.url: expected a host after https://, got "https://:8081"`},
	"url-without-scheme":     {`:1: puppetdb.url: expected http:// or https:// before the host, got "puppetdb.example.com:8081"`},
	"webhook-twice":          {`:9: webhooks[1].url: is the URL of webhooks[0] too`},
	"window-always":          {`:7: windows.office: expected times, weekdays, days_of_month, months or years, or a list of time_intervals`},
	"window-interval-zone":   {`:7: windows.office.time_intervals[1].location: expected an IANA zone such as Europe/Berlin`},
	"window-month":           {`:7: windows.office.months[0]: expected months from 1 to 12`},
	"window-no-zone":         {`:7: windows.office.time_zone: expected an IANA zone such as Europe/Berlin`},
	"window-times-backwards": {`:7: windows.office.times[0]: start time cannot be equal or greater than end time`},
	"window-times-key":       {`:7: windows.office.times[0].start: unknown key, expected one of end_time, start_time`},
	"window-weekday":         {`:7: windows.office.weekdays[0]: moonday is not a valid weekday`},
	"window-zone-empty":      {`:7: windows.office.time_zone: expected an IANA zone such as Europe/Berlin, got ""`},
	"window-zone-local":      {`:7: windows.office.time_zone: expected an IANA zone such as Europe/Berlin, not the zone of this machine`},
	"window-zone":            {`:7: windows.office.time_zone: expected an IANA zone such as Europe/Berlin, got "Europe/Berlln"`},
	"wrong-type-bool":        {`:7: schedules.careful.stages[0].approval: expected true or false, got "yes please"`},
	"wrong-type-float":       {`:7: schedules.careful.growth: expected a number or a percentage, got ".nan"`},
	"wrong-type-int":         {`:1: puppetdb.max_queue_depth: expected a whole number, got "many"`},
	"wrong-type-list":        {`:7: schedules.careful.stages[0].windows: expected a list, got "office"`},
	"wrong-type-mapping":     {`:3: schedules: expected a mapping, got a list`},
	"wrong-type-string":      {`:7: controller.state_dir: expected a string, got "5"`},
	"zero-interval":          {`:1: puppetdb.poll_interval: expected a duration above zero, got 0s`},
	"zero-queue-depth":       {`:1: puppetdb.max_queue_depth: expected at least 1, got 0`},
	"wrong-type-duration":    {`:7: edges.live: expected a duration such as 30s, 1h30m or 1d, got a list`},
	"wrong-type-item":        {`:7: segments.few.certnames[0]: expected a string, got a mapping`},
	"window-times-empty":     {`:7: windows.office.times: is empty: it would contain no moment`},
	"window-interval-always": {`:7: windows.office.time_intervals[0]: expected times, weekdays, days_of_month, months or years: it would contain every moment`},
	"url-password-no-scheme": {`:1: puppetdb.url: expected http:// or https:// before the host, got a value with an @ in it`},
	"second-document-broken": {`:8: not YAML: did not find expected node content`},
	"segment-unknown":        {`:7: segments.few.any_of[1]: segment "db" is not known`},
	"segment-circle":         {`:7: segments.few: segment few is made of itself: few -> many -> few`, `:7: segments.many: segment many is made of itself: many -> few -> many`},
	"segment-glob":           {`:7: segments.few.certnames[0]: "web[1.example.com" is no glob: a bracket is not closed`},
	"segment-membership":     {`:7: segments.few.membership: expected live or snapshot, got "frozen"`},
	"freeze-half":            {`:7: freezes.xmas: expected both from and to`},
	"freeze-zone":            {`:7: freezes.xmas.time_zone: expected an IANA zone such as Europe/Berlin, in which days begin and end`},
	"freeze-backwards":       {`:7: freezes.xmas.to: is not after from`},
	"freeze-both":            {`:7: freezes.xmas: expected either ical, or from and to`},
	"freeze-moment":          {`:7: freezes.xmas.from: expected a date such as 2026-12-19 or a time such as 2026-12-19T18:00:00+01:00, got "christmas"`},
	"template-two":           {`:6: schedules.careful.stages[0]: expected at most one of percents, linear and exponential, got 2 of them`},
	"template-size":          {`:6: schedules.careful.stages[0]: expected either a size, or percents, linear or exponential`},
	"template-step":          {`:6: schedules.careful.stages[0].linear.step: expected a percentage above 0%, it would never grow`},
	"template-many":          {`:6: schedules.careful.stages[0]: makes more than 100 stages`},
	"template-factor":        {`:6: schedules.careful.stages[0].exponential.factor: expected a factor above 1, got 1`},
	"template-from":          {`:6: schedules.careful.stages[0].exponential.from: 60% is more than the end, 50%`},
	"template-order":         {`:6: schedules.careful.stages[0].for_each.order: expected the values of facts.dc in the order in which they follow, and "*" for the rest`},
	"template-attribute":     {`:6: schedules.careful.stages[0].for_each: selector {dc="fra1"}: unknown attribute "dc"; expected certname, facts.NAME, trusted.NAME or enc.NAME`},
	"template-twice":         {`:6: schedules.careful.stages[0].for_each: "fra1" is listed twice`},
	"template-zone":          {`:6: schedules.careful.stages[0].for_each.order: "Europe/Berlln" is no IANA zone such as Europe/Berlin`},
	"template-shrinks":       {`:7: schedules.careful.stages[1].percent: 20% is not more than the 50% of stage "a-4" in the same segment`},
	"stage-policy":           {`:6: schedules.careful.stages[0].policy: policy "strict" is not known`},
	"stage-coverage":         {`:6: schedules.careful.stages[0].coverage: expected more than 0% and at most 100%, got 0%`},
	"stage-zoneless":         {`:6: schedules.careful.stages[0].windows[0]: window "business_hours" has no zone: give the stage a time_zone, or the window`},
	"stage-zone":             {`:6: schedules.careful.stages[0].time_zone: expected an IANA zone such as Europe/Berlin, got "Mars/Base"`},
}

func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testdata, "bad-*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(bad) {
		t.Errorf("%d bad files, and %d expectations", len(files), len(bad))
	}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "bad-"), ".yml")
		t.Run(name, func(t *testing.T) {
			config, err := Load(file)
			if err == nil || config != nil {
				t.Fatalf("loaded, want an error: %v", err)
			}
			want := make([]string, len(bad[name]))
			for i, line := range bad[name] {
				want[i] = file + line
			}
			if got := err.Error(); got != strings.Join(want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("a secret is in the error")
			}
		})
	}
}

func TestUnreadableFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "sluiced.yml")
	config, err := Load(missing)
	if want := missing + ": cannot be read: no such file or directory"; config != nil || err == nil || err.Error() != want {
		t.Errorf("missing file: %v, want %s", err, want)
	}
	dir := t.TempDir()
	config, err = Load(dir)
	if want := dir + ": cannot be read: is a directory"; config != nil || err == nil || err.Error() != want {
		t.Errorf("directory: %v, want %s", err, want)
	}
	large := filepath.Join(dir, "large.yml")
	if err := os.WriteFile(large, []byte(strings.Repeat("#", 1<<20+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(large); err == nil || err.Error() != large+": is larger than 1 MiB" {
		t.Errorf("large file: %v", err)
	}
}
