package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxSize bounds a configuration file. The largest sensible one is a long list
// of certnames.
const maxSize = 1 << 20

// parseDocument returns the root of the one YAML document in data.
func parseDocument(name string, data []byte) (*yaml.Node, *Problem) {
	if len(data) > maxSize {
		return nil, &Problem{File: name, Reason: "is larger than 1 MiB"}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	switch err := decoder.Decode(&first); {
	case errors.Is(err, io.EOF):
		return nil, &Problem{File: name, Reason: "is empty, expected a configuration"}
	case err != nil:
		return nil, syntaxProblem(name, data, err)
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, &Problem{File: name, Line: second.Line, Reason: "a second YAML document begins, expected one"}
	case !errors.Is(err, io.EOF):
		return nil, syntaxProblem(name, data, err)
	}
	if len(first.Content) != 1 {
		return nil, &Problem{File: name, Reason: "is empty, expected a configuration"}
	}
	root := first.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, &Problem{File: name, Line: root.Line, Reason: "is empty, expected a configuration"}
	}
	return root, nil
}

var yamlLine = regexp.MustCompile(`(?s)\Ayaml: (?:line (\d+): )?(.*)\z`)

// tabError is what the parser says of a tab, and of some other characters.
var tabError = regexp.MustCompile(`cannot start any token|tab character`)

// syntaxProblem moves the line number of a YAML error to where editors find it.
func syntaxProblem(name string, data []byte, err error) *Problem {
	problem := &Problem{File: name, Reason: "not YAML: " + err.Error()}
	if match := yamlLine.FindStringSubmatch(err.Error()); match != nil {
		problem.Line, _ = strconv.Atoi(match[1]) // no number is line 0, which is unknown
		problem.Reason = "not YAML: " + match[2]
	}
	if line := tabLine(data); line > 0 && tabError.MatchString(problem.Reason) {
		problem.Line = line
		problem.Reason = "indented with a tab, expected spaces"
	}
	return problem
}

// tabLine returns the first line whose indentation has a tab, or 0.
func tabLine(data []byte) int {
	for i, line := range strings.Split(string(data), "\n") {
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if strings.Contains(indent, "\t") && strings.TrimSpace(line) != "" {
			return i + 1
		}
	}
	return 0
}
