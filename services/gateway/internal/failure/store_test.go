package failure

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/entraflow/entraflow/pkg/grpcserver"
)

func TestErrorsOfTheStore(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	exception := func(code int32) error { return &clickhouse.Exception{Code: code, Message: "secret"} }
	cases := map[string]struct {
		ctx  context.Context //nolint:containedctx // a case
		err  error
		want codes.Code // Unknown: not shown
	}{
		"refused":      {t.Context(), &net.OpError{Op: "dial", Err: errors.New("refused")}, codes.Unavailable},
		"slow":         {t.Context(), exception(codeTimeout), codes.ResourceExhausted},
		"our time":     {t.Context(), context.DeadlineExceeded, codes.ResourceExhausted},
		"memory":       {t.Context(), exception(codeMemoryLimit), codes.ResourceExhausted},
		"busy":         {t.Context(), exception(codeTooManyQueries), codes.Unavailable},
		"no table":     {t.Context(), exception(codeUnknownTable), codes.Unavailable},
		"syntax":       {t.Context(), exception(62), codes.Unknown},
		"call is over": {ended, exception(codeQueryWasCancelled), codes.Unknown},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := OfStore(tc.ctx, tc.err)
			var s grpcserver.Shown
			if !errors.As(err, &s) {
				require.Equal(t, tc.want, codes.Unknown)
				return
			}
			require.Equal(t, tc.want, s.GRPCCode())
			require.NotContains(t, s.Error()+s.Remedy(), "secret")
			require.ErrorIs(t, err, tc.err, "the log needs the cause")
		})
	}
	require.NoError(t, OfStore(t.Context(), nil))
}
