package directory_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/entra/directory"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

func now() time.Time { return time.Date(2026, time.November, 20, 12, 0, 0, 0, time.UTC) }

func newDirectory(t *testing.T, change func(*tenant.Config)) (*directory.Directory, *tenant.Tenant) {
	t.Helper()
	cfg := tenant.DefaultConfig()
	cfg.Users, cfg.End, cfg.Seed, cfg.HugeGroupMembers = 240, now(), 5, 150
	if change != nil {
		change(&cfg)
	}
	tn, err := tenant.New(cfg)
	require.NoError(t, err)
	return directory.New(tn, directory.Schedule{}), tn
}

// lines are the truth of a collection by id.
func lines(t *testing.T, d *directory.Directory, c tenant.Collection) map[string]string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, d.WriteTruth(&b, c, now()))
	all := map[string]string{}
	for line := range strings.Lines(b.String()) {
		var o struct{ ID string }
		require.NoError(t, json.Unmarshal([]byte(line), &o))
		require.NotContains(t, all, o.ID)
		all[o.ID] = line
	}
	return all
}

func changeables() []tenant.Collection {
	return []tenant.Collection{tenant.Users, tenant.Groups, tenant.Devices, tenant.Applications, tenant.ServicePrincipals}
}

// TestDeltaGivesTheTruth lets clients walk while everything changes, with replays, and holds them against the truth.
func TestDeltaGivesTheTruth(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			d, _ := newDirectory(t, nil)
			r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // it has to repeat
			clients := map[tenant.Collection]*client{}
			for _, c := range changeables() {
				clients[c] = newClient()
			}
			query := func(c tenant.Collection) directory.Query {
				return directory.Query{
					Collection: c, Relations: tenant.RelationsOf(c), Now: now(), Objects: 1 + r.IntN(30), Links: 1 + r.IntN(20),
				}
			}
			for range 400 {
				d.Change(r.Uint64(), r.IntN(12), now())
				for _, c := range changeables() {
					one := clients[c]
					if !one.open && r.IntN(2) == 0 {
						one.round = one.round.Replay(uint64(r.IntN(40)))
					}
					if r.IntN(2) == 0 {
						one.page(t, d, query(c))
					}
				}
			}
			require.Greater(t, d.Sequence(), uint64(1500))
			for _, c := range changeables() {
				one := clients[c]
				for one.open {
					one.page(t, d, query(c))
				}
				for !one.page(t, d, query(c)) {
				}
				one.equal(t, d, c)
				second := newClient() // a first walk of now
				for !second.page(t, d, query(c)) {
				}
				second.equal(t, d, c)
			}
		})
	}
}

func TestChangesRepeat(t *testing.T) {
	var runs [2]string
	for i := range runs {
		d, _ := newDirectory(t, nil)
		counts := d.Change(9, 3000, now())
		for _, c := range changeables() {
			runs[i] += fmt.Sprintln(c, lines(t, d, c))
		}
		require.Len(t, counts, 30, "every sort of change is made")
		sum := 0
		for _, n := range counts {
			sum += n
		}
		require.Equal(t, 3000, sum)
	}
	require.Equal(t, runs[0], runs[1])
}

func TestSchedule(t *testing.T) {
	d, tn := newDirectory(t, nil)
	require.Zero(t, d.Sequence())
	d = directory.New(tn, directory.Schedule{Rate: 2, Seed: 3})
	d.Advance(now().Add(-time.Hour))
	require.Zero(t, d.Sequence())
	d.Advance(now().Add(10 * time.Second))
	some := d.Sequence()
	require.GreaterOrEqual(t, some, uint64(20))
	d.Advance(now().Add(10 * time.Second))
	require.Equal(t, some, d.Sequence())
	d.Advance(now().Add(11 * time.Second))
	require.Greater(t, d.Sequence(), some)
}

// id returns the id of the object at an index.
func id(t *testing.T, d *directory.Directory, c tenant.Collection, i int) string {
	t.Helper()
	name := d.ObjectID(tenant.Ref{Collection: c, Index: i})
	require.NotEmpty(t, name)
	return name
}

func TestOneObject(t *testing.T) {
	d, _ := newDirectory(t, nil)
	user, err := d.Create(tenant.Users, map[string]json.RawMessage{"displayName": json.RawMessage(`"Ann"`)}, now())
	require.NoError(t, err)
	group := id(t, d, tenant.Groups, 7)
	require.NoError(t, d.Relate(tenant.Groups, group, tenant.Members, user, true))
	require.NoError(t, d.Update(tenant.Users, user, map[string]json.RawMessage{"jobTitle": json.RawMessage(`"Boss"`)}))
	require.Contains(t, lines(t, d, tenant.Users)[user], `"displayName":"Ann"`)
	require.Contains(t, lines(t, d, tenant.Users)[user], `"jobTitle":"Boss"`)
	before := d.Counts()
	query := directory.Query{Collection: tenant.Groups, Relations: []tenant.Relation{tenant.Members}, Now: now(), Objects: 10, Links: 10}
	round := d.Latest(tenant.Groups, now())
	delta := func() []directory.Item {
		t.Helper()
		items, next, done, err := d.Delta(query, round)
		require.NoError(t, err)
		require.True(t, done)
		round = next
		return items
	}

	require.NoError(t, d.Delete(tenant.Users, user, false))
	_, found := d.Find(tenant.Users, user)
	require.False(t, found)
	require.Empty(t, delta(), "a soft-deleted user stays a member")
	require.Contains(t, lines(t, d, tenant.Groups)[group], `{"id":"`+user+`","type":"user","deleted":true}`)
	after := d.Counts()
	require.Equal(t, []uint64{before["users"] - 1, before["memberships"]}, []uint64{after["users"], after["memberships"]})

	require.NoError(t, d.Restore(tenant.Users, user))
	require.ErrorIs(t, d.Restore(tenant.Users, user), directory.ErrNotFound)
	require.NoError(t, d.Delete(tenant.Users, user, false))
	require.NoError(t, d.Delete(tenant.Users, user, false), "for good")
	require.ErrorIs(t, d.Delete(tenant.Users, user, false), directory.ErrNotFound)
	items := delta()
	require.Len(t, items, 1)
	require.Equal(t, []directory.ItemLinks{{Relation: tenant.Members, Links: []directory.Link{{Collection: tenant.Users, ID: user, Removed: true}}}}, items[0].Links)
	require.NotContains(t, lines(t, d, tenant.Groups)[group], user)

	base := id(t, d, tenant.Users, 200)
	require.NoError(t, d.Delete(tenant.Users, base, true))
	for _, c := range changeables() {
		for _, line := range lines(t, d, c) {
			require.NotContains(t, line, base)
		}
	}
	require.ErrorIs(t, d.Relate(tenant.Groups, group, "cousins", user, true), directory.ErrBad)
	require.ErrorIs(t, d.Relate(tenant.Groups, group, tenant.Members, base, true), directory.ErrNotFound)
	require.ErrorIs(t, d.Update(tenant.Organizations, "x", nil), directory.ErrNotFound)
	require.ErrorIs(t, d.Update(tenant.Groups, group, map[string]json.RawMessage{"id": json.RawMessage(`"1"`)}), directory.ErrBad)
	_, err = d.Create(tenant.SubscribedSkus, nil, now())
	require.ErrorIs(t, err, directory.ErrBad)
	require.ErrorIs(t, d.WriteTruth(&bytes.Buffer{}, "planets", now()), directory.ErrNotFound)
}

// TestTracking holds what surfaces against what was selected.
func TestTracking(t *testing.T) {
	d, _ := newDirectory(t, nil)
	user := id(t, d, tenant.Users, 100)
	query := directory.Query{
		Collection: tenant.Users, Properties: []string{"jobTitle"}, Now: now(), Objects: 10, Links: 10, TokenLife: 7 * 24 * time.Hour,
	}
	start := d.Latest(tenant.Users, now())
	require.NoError(t, d.Update(tenant.Users, user, map[string]json.RawMessage{"city": json.RawMessage(`"Bern"`)}))
	items, _, _, err := d.Delta(query, start)
	require.NoError(t, err)
	require.Empty(t, items)
	require.NoError(t, d.Update(tenant.Users, user, map[string]json.RawMessage{"jobTitle": json.RawMessage(`"Boss"`)}))
	items, _, _, err = d.Delta(query, start)
	require.NoError(t, err)
	require.Len(t, items, 1)
	require.Equal(t, []string{"jobTitle", "city"}, items[0].Changed)
	narrow := query
	narrow.IDs = []string{id(t, d, tenant.Users, 101)}
	items, _, _, err = d.Delta(narrow, start)
	require.NoError(t, err)
	require.Empty(t, items)
	items, _, done, err := d.Delta(narrow, directory.Round{})
	require.NoError(t, err)
	require.True(t, done)
	require.Len(t, items, 1)

	late := query
	late.Now = now().Add(7*24*time.Hour + time.Second)
	_, _, _, err = d.Delta(late, start)
	require.ErrorIs(t, err, directory.ErrState)
	d.ExpireTokens(tenant.Groups, true)
	_, _, _, err = d.Delta(query, start)
	require.NoError(t, err)
	d.ExpireTokens("", false)
	_, _, _, err = d.Delta(query, start)
	require.ErrorIs(t, err, directory.ErrState)
	d.ExpireTokens(tenant.Users, true)
	_, _, _, err = d.Delta(query, start)
	require.ErrorIs(t, err, directory.ErrGone)
	other, _ := newDirectory(t, nil)
	_, _, _, err = other.Delta(query, start)
	require.NoError(t, err, "nothing had changed")
	_, _, _, err = other.Delta(query, d.Latest(tenant.Users, now()))
	require.ErrorIs(t, err, directory.ErrState)
}

// TestConcurrency lets changes, walks and truth run at once.
func TestConcurrency(t *testing.T) {
	d, tn := newDirectory(t, nil)
	done := make(chan error, 3)
	go func() {
		for seed := range uint64(200) {
			d.Change(seed, 5, now())
			d.Rebase(tn)
		}
		done <- nil
	}()
	go func() {
		for range 5 {
			if err := d.WriteTruth(&bytes.Buffer{}, tenant.Groups, now()); err != nil {
				done <- err
				return
			}
		}
		d.Counts()
		done <- nil
	}()
	walk := newClient()
	query := directory.Query{Collection: tenant.Groups, Relations: tenant.RelationsOf(tenant.Groups), Now: now(), Objects: 5, Links: 9}
	for range 100 {
		walk.page(t, d, query)
	}
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	for walk.open {
		walk.page(t, d, query)
	}
	for !walk.page(t, d, query) {
	}
	walk.equal(t, d, tenant.Groups)
}
