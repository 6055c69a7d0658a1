package puppetdb_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/puppetdb"
)

// Only a catalog that stayed the same while it was asked about, and that the newest report names, says anything.
func TestClasses(t *testing.T) {
	catalog := func(name, uuid string) string {
		return `{"certname":"` + name + `","catalog_uuid":` + uuid + `,"producer_timestamp":"2027-01-31T08:00:00.000Z"}`
	}
	catalogs := []string{
		`[` + strings.Join([]string{catalog("a", `"1"`), catalog("b", `"2"`), catalog("c", `"3"`), catalog("d", `null`), catalog("e", `"5"`), catalog("f", `"6"`)}, ",") + `]`,
		`[` + strings.Join([]string{catalog("a", `"1"`), catalog("b", `"2"`), catalog("c", `"33"`), catalog("d", `null`), catalog("e", `"5"`), catalog("f", `"6"`)}, ",") + `]`,
	}
	asked, refuse := 0, false
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		switch r.URL.Path {
		case "/pdb/meta/v1/version":
			io.WriteString(w, `{"version":"7.12.1"}`)
		case "/pdb/query/v4/reports":
			io.WriteString(w, `[{"certname":"a","catalog_uuid":"1"},{"certname":"b","catalog_uuid":"0"},{"certname":"c","catalog_uuid":"3"},{"certname":"d","catalog_uuid":null},{"certname":"e","catalog_uuid":"5"}]`)
		case "/pdb/query/v4/catalogs":
			io.WriteString(w, catalogs[min(asked, 1)])
			asked++
		case "/pdb/query/v4/resources":
			io.WriteString(w, `[{"certname":"a","parameters":{"given":{"x":true}}},{"certname":"b","parameters":{}},{"certname":"c","parameters":{}}]`)
		default:
			http.NotFound(w, r)
		}
	}))
	defer h.Close()
	c, err := puppetdb.New(puppetdb.Config{URL: h.URL})
	if err != nil {
		t.Fatal(err)
	}
	found, err := c.Classes(t.Context(), "Sluice", []string{"a", "b", "c", "d", "e", "f", "a"})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 || found["a"].Parameters["given"] == nil || found["a"].Produced.IsZero() || found["e"].Parameters != nil {
		t.Errorf("%+v: b applied another catalog, c got one in between, d had none, e has no such class, f never reported", found)
	}
	refuse = true
	if found, err := c.Classes(t.Context(), "Sluice", []string{"a"}); err == nil || found != nil {
		t.Errorf("%v %v", found, err)
	}
}
