// Package e2e tests the product as processes: every part a program of its own, or all of them in
// one, killed, frozen and starved while records flow.
//
// It builds the programs into build/e2e, starts them on free loopback ports with their data in the
// test's folder, and ends each by its id. What a test sends it keeps books about, and in the end
// the store must hold exactly that: no record missing, none twice, each in its newest version.
//
// Without a build tag the tests are small enough for `make test`. With the tag e2e, as `make e2e`
// runs them, they have the sizes that the product promises to stand. ENTRAFLOW_E2E_SEED repeats a
// run's random moments, and ENTRAFLOW_E2E_PROGRAMS names a folder of programs to test instead of building them.
package e2e
