package sluice_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// metricsInCode finds the names of all metrics of our own, in the few files that make them.
func metricsInCode(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, in := range []struct{ file, pattern, prefix string }{
		{"internal/daemon/metrics.go", `(?:gauge|vec)\("([a-z_]+)", "`, "sluice_"},
		{"internal/daemon/metrics.go", `Name: "(sluice_[a-z_]+)"`, ""},
		{"internal/notify/metrics.go", `(?:counter|gauge)\("([a-z_]+)", "`, "sluice_notify_"},
		{"internal/web/reload.go", `Name: "(sluice_[a-z_]+)"`, ""},
		{"internal/web/handlers.go", `Name: "(sluice_[a-z_]+)"`, ""},
		{"internal/enc/edge/metrics.go", `(?:gauge|time|head)\("(sluice_enc_[a-z_]+)"`, ""},
	} {
		found := regexp.MustCompile(in.pattern).FindAllStringSubmatch(read(t, in.file), -1)
		if len(found) == 0 {
			t.Fatalf("%s: no metric matches %s", in.file, in.pattern)
		}
		for _, f := range found {
			names = append(names, in.prefix+f[1])
		}
	}
	return names
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAlertRules(t *testing.T) {
	const rules, tests = "deploy/prometheus/sluice.rules.yml", "deploy/prometheus/sluice.rules.test.yml"
	for _, args := range [][]string{{"check", "rules", rules}, {"test", "rules", tests}} {
		if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s (from the Debian package prometheus, see make tools): %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	alerts := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(read(t, rules), -1)
	if len(alerts) == 0 {
		t.Fatal("no alert was found")
	}
	for _, a := range alerts {
		if !strings.Contains(read(t, tests), "alertname: "+a[1]+"\n") {
			t.Errorf("alert %s never fires in %s", a[1], tests)
		}
	}
	known := metricsInCode(t)
	for _, used := range regexp.MustCompile(`\bsluice_[a-z_]+`).FindAllString(read(t, rules), -1) {
		if !slices.Contains(known, used) {
			t.Errorf("%s uses %s, which no program has", rules, used)
		}
	}
}

// unit reads a systemd unit: values by "Section/Key", in order.
func unit(t *testing.T, file string) map[string][]string {
	t.Helper()
	out, section := map[string][]string{}, ""
	for lines := bufio.NewScanner(strings.NewReader(read(t, file))); lines.Scan(); {
		line := lines.Text()
		switch key, value, ok := strings.Cut(line, "="); {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
		case ok:
			out[section+"/"+key] = append(out[section+"/"+key], value)
		default:
			t.Errorf("%s: %q is neither a section nor a setting", file, line)
		}
	}
	return out
}

// TestUnits checks what systemd would only tell at the start: that the programs, their arguments and the files that units
// name are the ones that we have.
func TestUnits(t *testing.T) {
	files, err := filepath.Glob("deploy/systemd/*.*")
	if err != nil || len(files) != 4 {
		t.Fatalf("%v, %v: expected four units", files, err)
	}
	programs := build(t)
	for _, file := range files {
		u := unit(t, file)
		if strings.HasSuffix(file, ".timer") {
			if want := u["Timer/Unit"]; len(want) != 1 || !slices.Contains(files, "deploy/systemd/"+want[0]) {
				t.Errorf("%s: starts %v", file, want)
			}
			continue
		}
		for _, key := range []string{"Service/User", "Service/StateDirectory", "Service/NoNewPrivileges", "Service/ProtectSystem"} {
			if len(u[key]) != 1 {
				t.Errorf("%s: %s is %v, expected one value", file, key, u[key])
			}
		}
		start := strings.Fields(strings.Join(u["Service/ExecStart"], " "))
		if len(start) == 0 || filepath.Dir(start[0]) != "/usr/bin" {
			t.Errorf("%s: ExecStart %v", file, start)
			continue
		}
		if filepath.Base(start[0]) == "consul-template" {
			config := strings.TrimPrefix(start[1], "-config=/etc/sluice/")
			if _, err := os.Stat(filepath.Join("deploy", config)); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			continue
		}
		if problem := programs.check(t, append([]string{filepath.Base(start[0])}, start[1:]...)); problem != "" {
			t.Errorf("%s: %s: %s", file, strings.Join(start, " "), problem)
		}
	}
}

// The files on a puppetserver name each other by path; all of them say the same.
func TestEdgeFilesAgree(t *testing.T) {
	hcl := read(t, "deploy/consul-template/sluice-enc.hcl")
	for _, want := range []string{
		"/etc/sluice/consul-template/flags.ctmpl", "/etc/sluice/consul-template/manifest.ctmpl",
		"/var/lib/sluice-enc/rendered/flags", "/var/lib/sluice-enc/rendered/manifest", `"/usr/bin/sluice-enc", "accept"`,
	} {
		if !strings.Contains(hcl, want) {
			t.Errorf("deploy/consul-template/sluice-enc.hcl does not name %s", want)
		}
	}
	for _, file := range []string{"deploy/systemd/sluice-enc-accept.service", "deploy/systemd/consul-template-sluice.service"} {
		if u := unit(t, file); !slices.Equal(u["Service/StateDirectory"], []string{"sluice-enc"}) || !slices.Equal(u["Service/User"], []string{"puppet"}) {
			t.Errorf("%s: state directory %v of %v", file, u["Service/StateDirectory"], u["Service/User"])
		}
	}
}
