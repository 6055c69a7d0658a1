package verb

import (
	"fmt"
	"strings"
)

// Table is the verbs and their fields in Markdown.
func Table() string {
	var b strings.Builder
	b.WriteString("| POST to | fields besides `reason` |\n| --- | --- |\n")
	for _, v := range All {
		names := "none"
		if len(v.Fields) > 0 {
			names = "`" + strings.Join(v.Fields, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `/api/v1/verbs/%s` | %s |\n", v.Path(), names)
	}
	return b.String()
}
