package schedule

import "github.com/prometheus/alertmanager/timeinterval"

// BusinessHours is the name of the window that exists without being configured:
// Monday to Friday from 09:00 to 17:00, in the zone of the stage.
const BusinessHours = "business_hours"

// Presets returns the windows that exist without being configured.
func Presets() map[string]Window {
	return map[string]Window{BusinessHours: {Name: BusinessHours, TimeInterval: timeinterval.TimeInterval{
		Times:    []timeinterval.TimeRange{{StartMinute: 9 * 60, EndMinute: 17 * 60}},
		Weekdays: []timeinterval.WeekdayRange{{InclusiveRange: timeinterval.InclusiveRange{Begin: 1, End: 5}}},
	}}}
}
