//go:build e2e

package e2e_test

import "time"

// Sizes for `make e2e`: what the product promises to stand.
var sizes = struct {
	crash     crashSize
	faults    faultSize
	outage    outageSize
	flood     floodSize
	restart   restartSize
	collect   collectSize
	budget    budgetSize
	directory directorySize
}{
	crash: crashSize{
		records: 200_000, perMessage: 100, lasts: 180 * time.Second, freeze: 60 * time.Second,
		streamerKills: 10, sinkKills: 10, natsKills: 2, storeKills: 2,
	},
	faults:    faultSize{perPartition: 5_000},
	outage:    outageSize{away: 60 * time.Second, rate: 4_000, maxSinkRSS: gib, maxStreamerRSS: 300 * mib},
	flood:     floodSize{stream: 64 * mib, send: 500 * mib, recordBytes: 1_100, maxStreamerRSS: 500 * mib, maxSinkRSS: gib},
	restart:   restartSize{records: 30_000, rate: 1_000, kills: 5},
	collect:   collectSize{users: 1250, days: 30, speed: 60, kills: 20, freeze: 60 * time.Second},
	budget:    budgetSize{users: 1250, days: 30, scale: 1, lasts: 150 * time.Second},
	directory: directorySize{users: 3000, changes: 100, kills: 20, freeze: 60 * time.Second, history: 5000, huge: 200_000, maxRSS: 250 * mib},
}

// impatient is false: the services run as they are by default.
const impatient = false

// patience is how long what must happen may take.
const patience = 5 * time.Minute

// atOnce is how many tests run at the same time, each with a world of its own of up to a gigabyte.
const atOnce = 2
