package reader_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/lease"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	"github.com/entraflow/entraflow/services/directorysync/internal/catalogue"
	"github.com/entraflow/entraflow/services/directorysync/internal/reader"
	"github.com/entraflow/entraflow/services/directorysync/internal/state"
)

const tenant = "75243ab2-44f8-435c-a7a6-b479385df6d4"

// script is a Graph that answers by the path or link that is asked for.
type script struct {
	mu      sync.Mutex
	answers map[string]any // a body or an error
	asked   []string
}

func (s *script) Get(_ context.Context, r entra.Request) (*entra.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	target := r.URL + r.Path
	s.asked = append(s.asked, target)
	switch answer := s.answers[target].(type) {
	case string:
		return &entra.Response{Status: 200, Date: time.Now(), Body: []byte(answer)}, nil
	case error:
		return nil, answer
	default:
		return nil, entra.NewError(entra.CauseNotFound)
	}
}

// says sets what is answered from now on, and forgets what was asked for.
func (s *script) says(answers map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers, s.asked = answers, nil
}

func (s *script) wasAsked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// desk is a reader of one type on a real stream.
type desk struct {
	t      *testing.T
	typ    catalogue.Type
	set    reader.Settings
	graph  *script
	conn   *bus.Conn
	held   *lease.Lease
	buried [][]byte
	rows   int
}

func newDesk(t *testing.T, id entra.DataType) *desk {
	t.Helper()
	b := bustest.New(t)
	b.Drain(t, directoryv1.ObjectStream, bus.UserSink)
	conn := b.Connect(t, bus.UserDirectorySync)
	d := &desk{t: t, graph: &script{}, conn: conn}
	d.typ, _ = catalogue.Find(id)
	gate, err := bus.NewGate(conn, bus.DefaultGateConfig(), directoryv1.ObjectStream)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- gate.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	d.held, err = lease.Acquire(t.Context(), conn, lease.Settings{Name: "tenant-contoso", Holder: "one"})
	require.NoError(t, err)
	t.Cleanup(func() { d.held.Release(context.WithoutCancel(t.Context())) })
	shared := state.Settings{Conn: conn, Publisher: bustest.Publisher(t, conn), Gate: gate, Clock: clock.Real()}
	d.set = reader.Settings{
		Type: d.typ, Client: d.graph, Store: state.New(shared, d.held, tenant, "contoso"), Clock: clock.Real(), WholeInterval: time.Hour,
		Observe: func(p reader.Page) { d.rows += p.Rows },
		Bury: func(_ context.Context, raw []byte, _ error) error {
			d.buried = append(d.buried, raw)
			return nil
		},
	}
	return d
}

// begin returns a reader that goes on where the one before came to, as after a restart.
func (d *desk) begin() *reader.Reader {
	d.t.Helper()
	bucket, err := d.conn.Bucket(d.t.Context(), bus.BucketCheckpoints)
	require.NoError(d.t, err)
	set := d.set
	set.Cursor, err = lease.OpenCursor(d.t.Context(), bucket, "directorysync.contoso.test", d.held)
	require.NoError(d.t, err)
	r, err := reader.New(set)
	require.NoError(d.t, err)
	return r
}

// known are the objects that are there.
func (d *desk) known() []string {
	d.t.Helper()
	ids, err := d.set.Store.Known(d.t.Context(), d.typ.Kind)
	require.NoError(d.t, err)
	slices.Sort(ids)
	return ids
}

// page makes a page of objects with these ids and a link.
func page(link, to string, ids ...string) string {
	var objects []string
	for _, id := range ids {
		objects = append(objects, `{"id":"`+id+`","displayName":"`+id+`"}`)
	}
	if link != "" {
		link = `,"@odata.` + link + `":"` + to + `"`
	}
	return `{"value":[` + strings.Join(objects, ",") + `]` + link + `}`
}

const (
	start = "/v1.0/users/delta"
	two   = "https://graph/two"
	delta = "https://graph/delta"
	later = "https://graph/later"
)

var errAway = errors.New("away")

func TestAFirstReadingGoesOnWhereItWasBrokenOff(t *testing.T) {
	d := newDesk(t, entra.Users)
	d.graph.says(map[string]any{start: page("nextLink", two, "a", "b"), two: errAway})
	require.ErrorIs(t, d.begin().Round(t.Context()), errAway)
	require.Equal(t, []string{"a", "b"}, d.known())

	d.graph.says(map[string]any{two: page("deltaLink", delta, "c")})
	r := d.begin()
	require.NoError(t, r.Round(t.Context()))
	require.Equal(t, []string{two}, d.graph.wasAsked())
	require.Equal(t, []string{"a", "b", "c"}, d.known())
	require.NotNil(t, r.Cursor().GetWholeTime())

	d.graph.says(map[string]any{delta: page("deltaLink", later, "d")})
	require.NoError(t, d.begin().Round(t.Context()))
	d.graph.says(map[string]any{later: page("deltaLink", delta)})
	require.NoError(t, d.begin().Round(t.Context()))
	require.Equal(t, []string{later}, d.graph.wasAsked())
	require.Equal(t, 4, d.rows)
}

// TestOnlyAWholeReadingSaysWhatIsGone: a token that expired brings a reading of everything, which sweeps only at its end.
func TestOnlyAWholeReadingSaysWhatIsGone(t *testing.T) {
	for _, cause := range []entra.Cause{entra.CauseSyncStateExpired, entra.CauseSkipTokenInvalid} {
		t.Run(string(cause), func(t *testing.T) {
			d := newDesk(t, entra.Users)
			d.graph.says(map[string]any{start: page("deltaLink", delta, "a", "b", "c")})
			require.NoError(t, d.begin().Round(t.Context()))

			d.graph.says(map[string]any{delta: entra.NewError(entra.CauseSyncStateExpired), start: page("nextLink", two, "a"), two: errAway})
			require.ErrorIs(t, d.begin().Round(t.Context()), errAway)
			require.Equal(t, []string{"a", "b", "c"}, d.known(), "it did not come to its end")

			d.graph.says(map[string]any{delta: entra.NewError(cause), start: page("nextLink", two, "a"), two: page("deltaLink", later, "d")})
			if cause == entra.CauseSkipTokenInvalid {
				d.graph.says(map[string]any{delta: page("nextLink", two, "b"), two: entra.NewError(cause)})
				require.Error(t, d.begin().Round(t.Context()), "the token does not get better")
				require.Equal(t, []string{"a", "b", "c"}, d.known())
				return
			}
			require.NoError(t, d.begin().Round(t.Context()))
			require.Equal(t, []string{"a", "d"}, d.known())
			d.graph.says(map[string]any{later: page("deltaLink", later)})
			require.NoError(t, d.begin().Round(t.Context()))
		})
	}
}

func TestWithoutPermissionForTheDeltaAllIsReadEachTime(t *testing.T) {
	d := newDesk(t, entra.Devices)
	const list = "/v1.0/devices"
	d.graph.says(map[string]any{list + "/delta": entra.NewError(entra.CausePermissionMissing), list: page("", "", "a", "b")})
	r := d.begin()
	require.NoError(t, r.Round(t.Context()))
	require.True(t, r.FallsBack())
	d.graph.says(map[string]any{list: page("", "", "b")})
	require.NoError(t, r.Round(t.Context()))
	require.Equal(t, []string{"b"}, d.known())

	d = newDesk(t, entra.Users)
	d.graph.says(map[string]any{start: entra.NewError(entra.CausePermissionMissing)})
	fault, ok := errors.AsType[*entra.Error](d.begin().Round(t.Context()))
	require.True(t, ok)
	require.Equal(t, entra.CausePermissionMissing, fault.Cause)
	require.Equal(t, []string{start}, d.graph.wasAsked())
}

func TestChildrenAndSingles(t *testing.T) {
	d := newDesk(t, "app_role_assignments")
	parents, _ := catalogue.Find(entra.ServicePrincipals)
	set := d.set
	set.Type = parents
	d.graph.says(map[string]any{"/v1.0/servicePrincipals/delta": page("deltaLink", delta, "p", "q", "r")})
	d.set = set
	require.NoError(t, d.begin().Round(t.Context()))
	d.set.Type = d.typ
	assigned := func(parent string) string { return "/v1.0/servicePrincipals/" + parent + "/appRoleAssignedTo" }
	d.graph.says(map[string]any{assigned("p"): page("nextLink", two, "1"), two: page("", "", "2"), assigned("r"): page("", "", "3")}) // q is gone: 404
	require.NoError(t, d.begin().Round(t.Context()))
	require.Equal(t, []string{"1", "2", "3"}, d.known())
	d.graph.says(map[string]any{assigned("p"): page("", "", "1"), assigned("r"): errAway})
	require.ErrorIs(t, d.begin().Round(t.Context()), errAway)
	require.Equal(t, []string{"1", "2", "3"}, d.known())
	d.graph.says(map[string]any{assigned("p"): page("", "", "1"), assigned("r"): page("", "")})
	require.NoError(t, d.begin().Round(t.Context()))
	require.Equal(t, []string{"1"}, d.known())

	d = newDesk(t, "security_defaults")
	const path = "/v1.0/policies/identitySecurityDefaultsEnforcementPolicy"
	d.graph.says(map[string]any{path: `{"id":"00000000","isEnabled":true}`})
	require.NoError(t, d.begin().Round(t.Context()))
	require.Equal(t, []string{"security_defaults"}, d.known())
}

func TestWhatCannotBeReadIsBuriedAndTheRestGoesOn(t *testing.T) {
	d := newDesk(t, entra.Users)
	d.graph.says(map[string]any{start: `{"value":[{"id":"a"},{"displayName":"nobody"},7,{"id":"b"}],"@odata.deltaLink":"` + delta + `"}`})
	require.NoError(t, d.begin().Round(t.Context()))
	require.Equal(t, []string{"a", "b"}, d.known())
	require.Equal(t, [][]byte{[]byte(`{"displayName":"nobody"}`), []byte(`7`)}, d.buried)
	require.Equal(t, 4, d.rows)
}

func TestAPageThatLeadsToItselfEndsTheReading(t *testing.T) {
	d := newDesk(t, entra.Users)
	d.graph.says(map[string]any{start: page("nextLink", two, "a"), two: page("nextLink", two)})
	fault, ok := errors.AsType[*entra.Error](d.begin().Round(t.Context()))
	require.True(t, ok)
	require.Equal(t, entra.CauseLinkLoop, fault.Cause)
	require.Less(t, len(d.graph.wasAsked()), 50)
}

// Links of a Graph that is elsewhere now are worth nothing: of a reading that was broken off, and of one that ended.
func TestWhenGraphIsElsewhereAllIsReadAgain(t *testing.T) {
	d := newDesk(t, entra.Users)
	foreign := entra.NewError(entra.CauseForeignHost)
	d.graph.says(map[string]any{start: page("nextLink", two, "a", "b"), two: errAway})
	require.ErrorIs(t, d.begin().Round(t.Context()), errAway)
	d.graph.says(map[string]any{two: foreign, start: page("deltaLink", delta, "a", "b")})
	require.NoError(t, d.begin().Round(t.Context()))
	require.Equal(t, []string{two, start}, d.graph.wasAsked())

	d.graph.says(map[string]any{delta: foreign, start: page("deltaLink", later, "a", "c")})
	require.NoError(t, d.begin().Round(t.Context()))
	require.Equal(t, []string{delta, start}, d.graph.wasAsked())
	require.Equal(t, []string{"a", "c"}, d.known())
}
