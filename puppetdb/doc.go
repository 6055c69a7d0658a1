// Package puppetdb reads PuppetDB's query API v4 and turns its reports into a feed.
//
// Three properties matter more here than convenience:
//
//   - An answer is whole or it is an error. PuppetDB streams its rows, and a
//     query that times out after the first row ends as HTTP 200 with a torn
//     array. The decoder demands the closing bracket and nothing behind it.
//   - Only the columns that are used cross the wire. Metrics, logs and events
//     weigh ten times as much as the rest and are fetched by hash, for few
//     reports.
//   - Nothing visible is lost. A report can become visible hours after its own
//     timestamps, so Feed reads time slices again, ever more rarely, and
//     delivers each report once.
//
// Versions 7.x of PuppetDB and 8.x of PuppetDB and OpenVoxDB differ in the
// request parameters that they accept; Client asks for the version once and
// sends only what that version knows.
package puppetdb
