package bench

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRecordsHaveTheirSizeAndAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, size := range []recordSize{sizeCommon, sizeLarge} {
		for _, n := range []int{0, 1, 999_999} {
			text := record(n, size, time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC))
			require.True(t, json.Valid([]byte(text)), text)
			require.InEpsilon(t, int(size), len(text), 0.05)
			require.False(t, seen[text])
			seen[text] = true
		}
	}
	require.True(t, json.Valid(message(7, 3, sizeCommon, time.Now())))
}
