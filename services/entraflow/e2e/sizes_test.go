//go:build !e2e

package e2e_test

import "time"

// Sizes for `make test`: the same tests in seconds.
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
		records: 6_000, perMessage: 20, lasts: 14 * time.Second, freeze: 4 * time.Second,
		streamerKills: 2, sinkKills: 2, natsKills: 1, storeKills: 1,
	},
	faults:    faultSize{perPartition: 200},
	outage:    outageSize{away: 4 * time.Second, rate: 300, maxSinkRSS: 300 * mib, maxStreamerRSS: 150 * mib},
	flood:     floodSize{stream: 32 * mib, send: 48 * mib, recordBytes: 8_000, maxStreamerRSS: 500 * mib, maxSinkRSS: gib},
	restart:   restartSize{records: 2_000, rate: 400, kills: 1},
	collect:   collectSize{users: 120, days: 4, speed: 600, kills: 2, freeze: 8 * time.Second},
	budget:    budgetSize{users: 1000, days: 20, scale: 6, lasts: 15 * time.Second},
	directory: directorySize{users: 300, changes: 40, kills: 2, freeze: 8 * time.Second, history: 400, huge: 6_000, maxRSS: 250 * mib},
}

// impatient makes services notice and retry sooner than they do by default.
const impatient = true

// patience is how long what must happen may take, with other tests beside it.
const patience = 2 * time.Minute

// atOnce is how many tests run at the same time, each with a world of its own of up to a gigabyte.
const atOnce = 4
