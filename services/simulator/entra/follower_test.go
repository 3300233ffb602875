package entra_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// admin asks the admin API.
func (w *world) admin(method, path, body string, status int) string {
	w.t.Helper()
	r := httptest.NewRequest(method, "/v1/entra/tenants/"+tenantID+"/"+path, strings.NewReader(body))
	answer := httptest.NewRecorder()
	w.server.AdminHandler().ServeHTTP(answer, r)
	require.Equal(w.t, status, answer.Code, answer.Body.String())
	return answer.Body.String()
}

// objects are the truth of a collection by id.
func (w *world) objects(collection string) map[string]map[string]any {
	w.t.Helper()
	all := map[string]map[string]any{}
	for line := range strings.Lines(w.admin("GET", "truth/"+collection, "", 200)) {
		var o map[string]any
		require.NoError(w.t, json.Unmarshal([]byte(line), &o))
		all[o["id"].(string)] = o //nolint:errcheck,forcetypeassert // the test may panic
	}
	return all
}

// deltaBody is a page of a delta round.
type deltaBody struct {
	Next  string           `json:"@odata.nextLink"`
	Delta string           `json:"@odata.deltaLink"`
	Value []map[string]any `json:"value"`
	Error *graphError      `json:"error"`
}

// follower is a client of one delta query over HTTP that does what graph.md §3.1 says.
type follower struct {
	w       *world
	start   string
	objects map[string]map[string]any
	links   map[string]map[string]bool // by id/relation
	delta   string                     // where the next round begins
	pages   int
	rows    int
}

func (w *world) follow(start string) *follower {
	return &follower{w: w, start: start}
}

func (f *follower) try(link string) (int, http.Header, deltaBody, error) {
	response, body, err := f.w.raw(f.w.t.Context(), link, f.w.token(false))
	var p deltaBody
	if err == nil && response.StatusCode < 500 {
		err = json.Unmarshal(body, &p)
	}
	return response.StatusCode, response.Header, p, err
}

// round reads a round to its end. Faults are met with another request; a lost state with a first round.
func (f *follower) round() {
	t := f.w.t
	t.Helper()
	link := f.delta
	if link == "" {
		link, f.objects, f.links = f.start, map[string]map[string]any{}, map[string]map[string]bool{}
	}
	for range 10_000 {
		status, header, p, err := f.try(link)
		switch {
		case err != nil || status == http.StatusTooManyRequests || status >= 500:
			continue
		case status == http.StatusGone:
			require.Contains(t, header.Get("Location"), "$deltatoken=")
			link, f.objects, f.links = header.Get("Location"), map[string]map[string]any{}, map[string]map[string]bool{}
			continue
		case status == http.StatusBadRequest && p.Error.Code == "syncStateNotFound":
			link, f.objects, f.links = f.start, map[string]map[string]any{}, map[string]map[string]bool{}
			continue
		case status == http.StatusBadRequest && strings.Contains(p.Error.Code, "PageToken"):
			continue
		}
		require.Equal(t, http.StatusOK, status, p.Error)
		require.NotEqual(t, p.Next == "", p.Delta == "", "one of the links")
		f.pages++
		for _, v := range p.Value {
			f.rows++
			f.merge(v)
		}
		if p.Delta != "" {
			f.delta = p.Delta
			return
		}
		link = p.Next
	}
	t.Fatal("the round does not end")
}

func (f *follower) merge(v map[string]any) {
	id, _ := v["id"].(string)
	if _, gone := v["@removed"]; gone {
		delete(f.objects, id)
		for key := range f.links {
			if strings.HasPrefix(key, id) {
				delete(f.links, key)
			}
		}
		return
	}
	for name, value := range v {
		relation, isDelta := strings.CutSuffix(name, "@delta")
		if !isDelta {
			continue
		}
		delete(v, name)
		held := f.links[id+"/"+relation]
		if held == nil {
			held = map[string]bool{}
			f.links[id+"/"+relation] = held
		}
		all, _ := value.([]any)
		for _, one := range all {
			link, _ := one.(map[string]any)
			to, _ := link["id"].(string)
			if _, gone := link["@removed"]; gone {
				delete(held, to)
				continue
			}
			held[to] = true
		}
	}
	f.objects[id] = v
}

// equal holds what was merged against the truth of the selected properties.
func (f *follower) equal(collection string, relations ...string) {
	t := f.w.t
	t.Helper()
	truth := f.w.objects(collection)
	require.Len(t, f.objects, len(truth))
	for id, want := range truth {
		for _, relation := range relations {
			wanted, got := []string{}, []string{}
			all, _ := want[relation].([]any)
			for _, one := range all {
				link, _ := one.(map[string]any)
				to, _ := link["id"].(string)
				wanted = append(wanted, to)
			}
			for to := range f.links[id+"/"+relation] {
				got = append(got, to)
			}
			slices.Sort(got)
			require.Empty(t, cmp.Diff(wanted, got), "%s %s", id, relation)
		}
		got := f.objects[id]
		require.NotNil(t, got, id)
		for name, value := range got {
			require.Empty(t, cmp.Diff(want[name], value), "%s %s", id, name)
		}
	}
}
