package e2e_test

import "time"

type faultSize struct{ perPartition int }

type outageSize struct {
	away                       time.Duration
	rate                       float64
	maxSinkRSS, maxStreamerRSS int64
}

type floodSize struct {
	stream, send, recordBytes  int
	maxStreamerRSS, maxSinkRSS int64
}

type restartSize struct {
	records int
	rate    float64
	kills   int
}
