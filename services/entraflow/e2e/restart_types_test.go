package e2e_test

type restartSize struct {
	records int
	rate    float64
	kills   int
}
