package entractl

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

var errTime = errors.New("must be a time span before now (30m, 24h, 7d), a date (2026-11-24) or a time (2026-11-24T12:00:00Z)")

// parseTime reads a time or a span before now; nil for "".
func parseTime(flag, text string, now time.Time) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly, time.DateTime, "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, text, time.UTC); err == nil {
			return timestamppb.New(t), nil
		}
	}
	span, err := parseSpan(text)
	if err != nil {
		return nil, usageError{fmt.Errorf("--%s %q %w", flag, text, errTime)}
	}
	return timestamppb.New(now.Add(-span)), nil
}

// parseSpan reads what time.ParseDuration reads and whole days before it: 7d, 1d12h.
func parseSpan(text string) (time.Duration, error) {
	const day, maxDays = 24 * time.Hour, 100_000
	var span time.Duration
	if days, rest, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || n > maxDays {
			return 0, errTime
		}
		span, text = time.Duration(n)*day, rest
	}
	if text == "" {
		return span, nil
	}
	rest, err := time.ParseDuration(text)
	if err != nil || rest < 0 {
		return 0, errTime
	}
	return span + rest, nil
}
