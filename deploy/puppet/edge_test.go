package puppet

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/internal/enc/edge"
)

// TestModuleHasTheFiles: what the module installs is what deploy/ has and the scenarios run.
func TestModuleHasTheFiles(t *testing.T) {
	n := 0
	for _, dir := range []string{"consul-template", "systemd"} {
		files, err := filepath.Glob("sluice/files/" + dir + "/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			ours, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := os.ReadFile(filepath.Join("..", dir, filepath.Base(file)))
			if err != nil || string(ours) != string(theirs) {
				t.Errorf("%s is not as in deploy/%s: %v (copy it)", file, dir, err)
			}
			n++
		}
	}
	if n != 6 {
		t.Errorf("%d files in the module, expected 6", n)
	}
}

// applyEdge applies class sluice::edge twice with the real puppet, in a mount namespace of its own: what it writes below
// /etc, /usr/bin and /var/lib goes into layers in dir. The second time nothing may change. Then the programs that it installed
// are called.
const applyEdge = `set -e
for place in etc usr/bin var/lib; do
  mkdir -p "$DIR/layer/$place/upper" "$DIR/layer/$place/work"
  mount -t overlay overlay -o "lowerdir=/$place,upperdir=$DIR/layer/$place/upper,workdir=$DIR/layer/$place/work" "/$place"
done
apply() {
  rc=0
  puppet apply --detailed-exitcodes --modulepath "$MODULES" --certname puppet1.example.test \
    --confdir "$DIR/puppet" --vardir "$DIR/puppet/var" --publicdir "$DIR/puppet/public" "$DIR/site.pp" || rc=$?
  [ "$rc" = "$1" ] || { echo "puppet apply exits $rc, expected $1"; exit 1; }
}
apply 2
apply 0
cp -a /etc/sluice "$DIR/etc-sluice"
cp /etc/systemd/system/sluice-enc-accept.timer "$DIR/"
stat -c '%U %a' /var/lib/sluice-enc /etc/sluice/edge.token
setpriv --reuid puppet --regid puppet --clear-groups /usr/bin/sluice-enc accept
setpriv --reuid puppet --regid puppet --clear-groups /usr/bin/sluice-enc explain web1.example.test
`

// TestEdgeIsApplied: the class makes a working edge, whose programs read the configuration that it wrote.
func TestEdgeIsApplied(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { // puppet has to enter it
		t.Fatal(err)
	}
	programs := filepath.Join(dir, "programs")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", programs+"/", "../../cmd/sluice-enc", "../../cmd/sluice-edge")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// consul-template is only copied here; the scenarios of internal/e2e run it with these files.
	write(t, filepath.Join(programs, "consul-template"), "#!/bin/sh\n", 0o755)
	write(t, filepath.Join(dir, "site.pp"), `class { 'sluice::edge':
  token            => Sensitive('edge-secret'),
  template_token   => Sensitive('template-secret'),
  programs         => '`+programs+`',
  upstream_command => '/bin/echo environment: production',
  consul_address   => '127.0.0.1:1',
  code_identity    => 'content',
  service          => false,
}
`, 0o644)
	modules, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-c", applyEdge)
	cmd.Env = append(cmd.Environ(), "DIR="+dir, "MODULES="+modules, "LC_ALL=C.UTF-8", "HOME="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v (needs root, and puppet from make tools)\n%s", err, out)
	}
	for _, want := range []string{"puppet 755", "puppet 400", "no manifest", "edge puppet1.example.test", "never accepted a document"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "secret") {
		t.Errorf("a token was printed:\n%s", out)
	}
	c, err := edge.LoadConfig(filepath.Join(dir, "etc-sluice", "enc.yml"))
	if err != nil || c.Host != "puppet1.example.test" || c.Upstream.Command != "/bin/echo environment: production" || c.Code.Identity != "content" {
		t.Errorf("%+v %v", c, err)
	}
	token, err := os.ReadFile(filepath.Join(dir, "etc-sluice", "consul-template.env"))
	if err != nil || string(token) != "CONSUL_HTTP_ADDR=127.0.0.1:1\nCONSUL_HTTP_TOKEN=template-secret\n" {
		t.Errorf("%q %v", token, err)
	}
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}
