package session_test

import (
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/probe"
	"github.com/entraflow/entraflow/pkg/session"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

func TestEnabled(t *testing.T) {
	result := func(id entra.DataType, a probe.Availability) probe.DataTypeResult {
		return probe.DataTypeResult{ID: id, Availability: a}
	}
	confirm := func(has, not string) *controlv1.Integration {
		c := &controlv1.Confirmation{}
		if has != "" {
			c.Licences = []string{has}
		}
		if not != "" {
			c.DeniedLicences = []string{not}
		}
		return &controlv1.Integration{Confirmation: c}
	}
	failed := func(c entra.Cause) probe.DataTypeResult {
		return probe.DataTypeResult{ID: entra.Audit, Availability: probe.Failed, Cause: c}
	}
	cases := map[string]struct {
		result probe.DataTypeResult
		set    *controlv1.Integration
		want   bool
	}{
		"available":            {result(entra.Audit, probe.Available), nil, true},
		"turned off":           {result(entra.Audit, probe.Available), &controlv1.Integration{DisabledDataTypes: []string{"audit"}}, false},
		"another turned off":   {result(entra.Audit, probe.Available), &controlv1.Integration{DisabledDataTypes: []string{"provisioning"}}, true},
		"no licence":           {result(entra.RiskyUser, probe.LicenceMissing), nil, false},
		"licence confirmed":    {result(entra.RiskyUser, probe.LicenceMissing), confirm("P2", ""), true},
		"another confirmed":    {result(entra.RiskyUser, probe.LicenceMissing), confirm("P1", ""), false},
		"licence denied":       {result(entra.RiskyUser, probe.Available), confirm("", "P2"), false},
		"needs no licence":     {result(entra.Audit, probe.Available), confirm("", "P2"), true},
		"no permission":        {result(entra.Audit, probe.PermissionMissing), confirm("P2", ""), false},
		"no consent":           {result(entra.Audit, probe.ConsentMissing), nil, false},
		"refused for good":     {failed(entra.CauseBadRequest), nil, false},
		"unavailable a moment": {failed(entra.CauseTransient), nil, true},
		"throttled":            {failed(entra.CauseThrottled), nil, true},
		"no answer, turned off": {
			failed(entra.CauseNetworkTimeout), &controlv1.Integration{DisabledDataTypes: []string{"audit"}}, false,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, session.Enabled(tc.result, tc.set)) })
	}
}

func TestWhatFailuresMean(t *testing.T) {
	type meaning struct{ passes, session, refused bool }
	cases := map[entra.Cause]meaning{
		entra.CauseSecretExpired:     {session: true},
		entra.CauseConditionalAccess: {session: true},
		entra.CauseLicenceMissing:    {refused: true},
		entra.CausePermissionMissing: {refused: true},
		entra.CauseTokenRejected:     {passes: true, refused: true},
		entra.CauseThrottled:         {passes: true},
		entra.CauseSkipTokenInvalid:  {passes: true},
		entra.CauseNetworkTimeout:    {passes: true},
		entra.CauseResponseTooLarge:  {},
		entra.CauseBadRequest:        {},
	}
	for cause, want := range cases {
		err := errors.Join(&entra.Error{Cause: cause})
		require.Equal(t, want, meaning{session.Passes(err), session.EndsSession(err), session.WasRefused(err)}, cause)
		require.Equal(t, string(cause), session.CauseOf(err))
		require.Equal(t, string(cause), session.ProblemOf("collector", err).GetCause())
	}
	require.True(t, session.Passes(session.ErrBus))
	require.Equal(t, "stream_unavailable", session.ProblemOf("collector", session.ErrBus).GetCause())
	require.Equal(t, "internal", session.ProblemOf("collector", io.EOF).GetCause())
	require.Contains(t, session.ProblemOf("collector", io.EOF).GetDetail(), "the collector's log")
	require.Nil(t, session.ProblemOf("collector", nil))
}
