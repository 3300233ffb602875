package subscribe

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/config"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newCodec(tb testing.TB) *token.Codec {
	tb.Helper()
	codec, err := token.NewCodec(config.NewSecret("secret"), "resume")
	require.NoError(tb, err)
	return codec
}

func TestAResumeTokenKeepsItsPlace(t *testing.T) {
	codec := newCodec(t)
	for _, want := range []position{{}, {created: -1, sequence: 1}, {created: math.MaxInt64, sequence: math.MaxUint64}} {
		got, err := parsePosition(codec, want.token(codec))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, bad := range []string{"x", codec.Seal(nil), codec.Seal(make([]byte, positionSize+1))} {
		_, err := parsePosition(codec, bad)
		require.EqualError(t, err, "resume_token: must be resume_token of a response, unchanged")
	}
}

func TestAPositionKnowsItsStream(t *testing.T) {
	created := time.Unix(1_700_000_000, 5)
	p := position{created: created.UnixNano(), sequence: 10}
	require.True(t, p.holds(created, 0))
	require.True(t, p.holds(created, 11), "the next one is the first")
	require.False(t, p.holds(created, 12), "the next one is gone")
	require.False(t, p.holds(created.Add(time.Nanosecond), 1), "another stream")
}

func TestSelections(t *testing.T) {
	many := func(n int) []string {
		var names []string
		for i := range n {
			names = append(names, "n"+string(rune('a'+i%26))+string(rune('a'+i/26)))
		}
		return names
	}
	cases := map[string]struct {
		kinds, tenants []string
		want           []string // nil: only the number below
		number         int
	}{
		"all":          {nil, nil, []string{"events.v1.*.*"}, 1},
		"kinds":        {[]string{"signin", "audit", "signin"}, nil, []string{"events.v1.audit.*", "events.v1.signin.*"}, 2},
		"tenants":      {nil, []string{"b", "a.*>"}, []string{"events.v1.*.a=2E=2A=3E", "events.v1.*.b"}, 2},
		"both":         {[]string{"audit"}, []string{"a", "b"}, []string{"events.v1.audit.a", "events.v1.audit.b"}, 2},
		"many tenants": {many(3), many(100), nil, 3},
		"many kinds":   {many(50), many(20), nil, 20},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newSelection(tc.kinds, tc.tenants)
			subjects := s.subjects()
			require.Len(t, subjects, tc.number)
			require.LessOrEqual(t, len(subjects), maxSubjects)
			if tc.want != nil {
				require.Equal(t, tc.want, subjects)
			}
			for _, kind := range append(slices.Clone(tc.kinds), "other") {
				for _, tenant := range append(slices.Clone(tc.tenants), "other") {
					want := (len(tc.kinds) == 0 || kind != "other") && (len(tc.tenants) == 0 || tenant != "other")
					require.Equal(t, want, s.includes(&eventv1.Event{Kind: kind, TenantId: tenant}))
				}
			}
		})
	}
}

func FuzzResumeToken(f *testing.F) {
	codec := newCodec(f)
	f.Add(position{created: 1, sequence: 2}.token(codec))
	f.Add("")
	f.Fuzz(func(t *testing.T, resumeToken string) {
		p, err := parsePosition(codec, resumeToken)
		if err == nil && p.token(codec) != resumeToken {
			t.Fatalf("%q reads as %+v, whose token is another", resumeToken, p)
		}
	})
}
