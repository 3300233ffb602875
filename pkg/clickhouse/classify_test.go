package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"
)

func TestClassify(t *testing.T) {
	code := func(n int32) error {
		return fmt.Errorf("inserting rows: %w", &ch.HTTPError{StatusCode: 500, Err: &ch.Exception{Code: n}})
	}
	for name, tc := range map[string]struct {
		err  error
		want Fault
	}{
		"none":              {nil, FaultNone},
		"memory":            {code(241), FaultTransient},
		"too many parts":    {code(252), FaultTransient},
		"timeout":           {code(159), FaultTransient},
		"no space":          {code(243), FaultTransient},
		"cancelled":         {code(394), FaultTransient},
		"never heard of":    {code(9999), FaultTransient},
		"constraint":        {code(469), FaultData},
		"null":              {code(349), FaultData},
		"enum":              {code(691), FaultData},
		"unknown table":     {code(60), FaultSetup},
		"password":          {code(516), FaultSetup},
		"lost connection":   {fmt.Errorf("read: %w", io.ErrUnexpectedEOF), FaultTransient},
		"deadline":          {context.DeadlineExceeded, FaultTransient},
		"value":             {fmt.Errorf("%w: FixedString", ErrBadValue), FaultData},
		"nothing we know":   {errors.New("strange"), FaultTransient},
		"native exceptions": {&ch.Exception{Code: 117}, FaultData},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want.String(), Classify(tc.err).String()) })
	}
}

// codesInSource returns the codes that classify.go names, each with the name beside it.
func codesInSource(t *testing.T) map[int]string {
	t.Helper()
	source, err := os.ReadFile("classify.go")
	require.NoError(t, err)
	codes := map[int]string{}
	for _, match := range regexp.MustCompile(`(?m)^\t\t(\d+)[,:] +// ([A-Z0-9_]+)$`).FindAllStringSubmatch(string(source), -1) {
		number, err := strconv.Atoi(match[1])
		require.NoError(t, err)
		codes[number] = match[2]
	}
	require.Greater(t, len(codes), 30)
	return codes
}

func TestIsolate(t *testing.T) {
	rows := make([]int, 100)
	for i := range rows {
		rows[i] = i
	}
	away := errors.New("store is away")
	for name, tc := range map[string]struct {
		bad      []int
		failFrom int // inserts from this one on find the store away
		stored   int
		left     int
	}{
		"all good":       {nil, 1000, 100, 0},
		"one bad":        {[]int{37}, 1000, 99, 0},
		"ends bad":       {[]int{0, 99}, 1000, 98, 0},
		"all bad":        {rows, 1000, 0, 0},
		"away at once":   {nil, 0, 0, 100},
		"away meanwhile": {[]int{37}, 4, 25, 75},
		"away later":     {[]int{37}, 6, 37, 63},
	} {
		t.Run(name, func(t *testing.T) {
			var stored, bad []int
			inserts := 0
			left, err := Isolate(rows, func(part []int) error {
				inserts++
				if inserts > tc.failFrom {
					return away
				}
				if slices.ContainsFunc(part, func(n int) bool { return slices.Contains(tc.bad, n) }) {
					return ErrBadValue
				}
				stored = append(stored, part...)
				return nil
			}, func(n int, err error) {
				require.ErrorIs(t, err, ErrBadValue)
				bad = append(bad, n)
			})
			if tc.left > 0 {
				require.ErrorIs(t, err, away)
			} else {
				require.NoError(t, err)
				require.Equal(t, tc.bad, bad)
			}
			require.Len(t, stored, tc.stored)
			require.Len(t, left, tc.left)
			all := slices.Concat(stored, bad, left)
			slices.Sort(all)
			require.Equal(t, rows, all, "every row is stored, bad or left")
		})
	}
}
