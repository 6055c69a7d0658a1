// Command printer only prints an answer that was linked into it: what an ENC costs that decides nothing.
package main

import "os"

// answer is set by the linker (-X main.answer=…).
var answer string

func main() {
	if answer == "" {
		os.Exit(2)
	}
	if _, err := os.Stdout.WriteString(answer); err != nil {
		os.Exit(1)
	}
}
