package schedule

// validateOrder refuses stages that would add nobody. A node is admitted by
// the largest stage so far of a segment that holds it, so a stage matters only
// when it is larger than the ones before it in the same segment.
func (s Schedule) validateOrder(f *fields, path string) {
	everyone := -1
	last := map[string]int{}
	for i, stage := range s.Stages {
		at := s.at(path, i)
		if everyone >= 0 {
			f.add(at, "nobody is left: %s admits everyone", s.label(everyone))
			continue
		}
		before, again := last[stage.Segment]
		last[stage.Segment] = i
		if again {
			validateStep(f, at, s.Stages[before], stage, s.label(before))
		}
		if stage.Segment == "" && stage.Nodes == 0 && stage.Percent == Hundred {
			everyone = i
		}
	}
}

// validateStep compares two stages of one segment, of which earlier is called
// label.
func validateStep(f *fields, path string, earlier, stage Stage, label string) {
	switch {
	case earlier.Nodes == 0 && stage.Nodes > 0:
		f.add(path+".nodes", "%d nodes after the %s of %s: expected a percentage, which is known to grow",
			stage.Nodes, earlier.Percent, label)
	case stage.Nodes > 0 && stage.Nodes <= earlier.Nodes:
		f.add(path+".nodes", "%d is not more than the %d of %s in the same segment", stage.Nodes, earlier.Nodes, label)
	case stage.Percent > 0 && earlier.Nodes == 0 && stage.Percent <= earlier.Percent:
		f.add(path+".percent", "%s is not more than the %s of %s in the same segment", stage.Percent, earlier.Percent, label)
	}
}
