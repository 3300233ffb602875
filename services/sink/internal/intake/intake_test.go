package intake

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clickhouse"
)

func TestDetailHoldsNoPartOfTheRecord(t *testing.T) {
	const around = "ClickHouse refuses the row (%). Replay it once the table takes it."
	cases := map[string]struct {
		err  error
		want string
	}{
		"constraint": {
			&ch.Exception{Code: 469, Message: "Constraint `c` for table db.sign_ins is violated at row 1. Expression: (user != 'it\\'s ada'). Column values: user = 'it\\'s ada'"},
			"code 469: Constraint `c` for table db.sign_ins is violated at row 1. Expression: (user != '…').",
		},
		"client": {clickhouse.ErrBadValue, "a value does not fit its column"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, strings.Replace(around, "%", tc.want, 1), detail(errors.Join(errors.New("inserting"), tc.err)))
		})
	}
	long := detail(&ch.Exception{Message: strings.Repeat("ä", maxDetail)})
	require.LessOrEqual(t, len(long), maxDetail)
	require.True(t, strings.HasPrefix(long, "ClickHouse refuses"))
}

func TestCut(t *testing.T) {
	limits := Limits{Rows: 3, Bytes: 10}
	cases := map[string]struct {
		sizes []int
		want  int
	}{
		"all":             {[]int{1, 2}, 2},
		"rows":            {[]int{1, 1, 1, 1}, 3},
		"bytes":           {[]int{6, 4, 1}, 2},
		"one alone":       {[]int{99, 1}, 1},
		"a large follows": {[]int{1, 99}, 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, limits.cut(len(tc.sizes), func(i int) int { return tc.sizes[i] }))
		})
	}
}

func TestMemory(t *testing.T) {
	m := newMemory(1 << 16)
	require.False(t, m.seen("a", "1"))
	require.True(t, m.seen("a", "1"))
	require.False(t, m.seen("b", "1"), "the same id in another table is another row")
	repeats := 0
	for i := range 10_000 {
		if m.seen("c", strconv.Itoa(i)) {
			repeats++
		}
	}
	require.Zero(t, repeats)
	require.False(t, newMemory(0).seen("a", "1"))
}
