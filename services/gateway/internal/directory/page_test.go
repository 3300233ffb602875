package directory

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	population "github.com/entraflow/entraflow/pkg/clickhouse/directory"
	"github.com/entraflow/entraflow/pkg/config"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
	"github.com/entraflow/entraflow/services/gateway/internal/token"
)

func TestCut(t *testing.T) {
	one := &controlv1.DirectoryMember{Id: "0123456789"}
	size := proto.Size(one)
	all := []*controlv1.DirectoryMember{one, one, one}
	for name, tc := range map[string]struct{ size, bytes, want int }{
		"all":                 {3, 100 * size, 3},
		"fewer":               {2, 100 * size, 2},
		"as many bytes":       {3, 3 * size, 3},
		"a byte too many":     {3, 3*size - 1, 2},
		"one is always there": {3, 1, 1},
	} {
		require.Equal(t, tc.want, cut(all, tc.size, tc.bytes), name)
	}
	require.Zero(t, cut([]*controlv1.DirectoryMember{}, 3, 1))
}

func TestPageTokens(t *testing.T) {
	pages, err := token.NewCodec(config.NewSecret("secret"), "directory page")
	require.NoError(t, err)
	s := NewServer(DefaultConfig(), Settings{Tokens: pages})
	req := &controlv1.ListGroupsRequest{Text: "x", PageSize: 10}
	cursor := []string{"tenant", "näme \"x\"\n", "id"}
	sealed, err := s.seal(req, []string{"a"}, cursor)
	require.NoError(t, err)
	cases := map[string]struct {
		req     paged
		tenants []string
		size    int
		ok      bool
	}{
		"same":            {&controlv1.ListGroupsRequest{Text: "x", PageToken: sealed}, []string{"a"}, 3, true},
		"other page size": {&controlv1.ListGroupsRequest{Text: "x", PageSize: 99, PageToken: sealed}, []string{"a"}, 3, true},
		"other text":      {&controlv1.ListGroupsRequest{Text: "y", PageToken: sealed}, []string{"a"}, 3, false},
		"other tenants":   {&controlv1.ListGroupsRequest{Text: "x", PageToken: sealed}, []string{"a", "b"}, 3, false},
		"all tenants":     {&controlv1.ListGroupsRequest{Text: "x", PageToken: sealed}, nil, 3, false},
		"other method":    {&controlv1.SearchUsersRequest{Text: "x", PageToken: sealed}, []string{"a"}, 3, false},
		"other cursor":    {&controlv1.ListGroupsRequest{Text: "x", PageToken: sealed}, []string{"a"}, 4, false},
		"damaged":         {&controlv1.ListGroupsRequest{Text: "x", PageToken: sealed[1:]}, []string{"a"}, 3, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := s.open(tc.req, tc.tenants, tc.size)
			if !tc.ok {
				var invalid *failure.InvalidError
				require.ErrorAs(t, err, &invalid)
				return
			}
			require.NoError(t, err)
			require.Equal(t, cursor, got)
		})
	}
	first, err := s.open(req, nil, 3)
	require.NoError(t, err)
	require.Equal(t, []string{"", "", ""}, first)
}

func TestClassesKeepTheirReasons(t *testing.T) {
	got := classifications([]string{"member", "admin", "admin", "non_human"}, []string{"a", "b", "c", "d"})
	require.Empty(t, cmp.Diff([]*controlv1.Classification{
		{Class: controlv1.UserClass_USER_CLASS_MEMBER, Reasons: []string{"a"}},
		{Class: controlv1.UserClass_USER_CLASS_ADMIN, Reasons: []string{"b", "c"}},
		{Class: controlv1.UserClass_USER_CLASS_NON_HUMAN, Reasons: []string{"d"}},
	}, got, protocmp.Transform()))
	for _, name := range population.Classes() {
		require.NotZero(t, classOf(name), name)
	}
	for number := range controlv1.UserClass_name {
		if class := controlv1.UserClass(number); number != 0 {
			require.Equal(t, class, classOf(className(class)))
		}
	}
}

func TestLater(t *testing.T) {
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	for _, tc := range []struct{ a, b, want *time.Time }{
		{nil, nil, nil}, {&early, nil, &early}, {nil, &late, &late}, {&early, &late, &late}, {&late, &early, &late},
	} {
		require.Equal(t, tc.want, later(tc.a, tc.b))
	}
}

func TestConfig(t *testing.T) {
	require.NoError(t, DefaultConfig().Validate())
	for want, change := range map[string]func(*Config){
		"query_timeout: must be at least 1s":             func(c *Config) { c.QueryTimeout = time.Millisecond },
		"query_memory: must be at least 64MiB":           func(c *Config) { c.QueryMemory = 1 },
		"page_bytes: must be positive":                   func(c *Config) { c.PageBytes = 0 },
		"sign_in_days: must be between 1 and 400":        func(c *Config) { c.SignInDays = 401 },
		"rules.non_human.signs: must be between 2 and 4": func(c *Config) { c.Rules.NonHuman.Signs = 9 },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		require.ErrorContains(t, cfg.Validate(), want)
	}
}
